/** What the harness tells a worker, through the environment. */
public final class Setting {
  private Setting() {}

  public static String of(String name) {
    String value = System.getenv("BENCH_" + name);
    if (value == null) throw new IllegalStateException("BENCH_" + name + " is not set: run this by scripts/bench");
    return value;
  }
}
