import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;

/** Says on stdout how far the worker is, at the first event and at each tenth: MARK events time cpu-seconds. */
public final class Meter {
  private static final AtomicLong DONE = new AtomicLong();
  private static final long TENTH = Math.max(1, Long.parseLong(Setting.of("EVENTS")) / 10);
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private Meter() {}

  /** Says that state is being restored, or is: RESTORE what time cpu-seconds. */
  public static void restore(String what) {
    System.out.println(
        "RESTORE " + what + " " + System.currentTimeMillis() / 1000.0 + " " + SYSTEM.getProcessCpuTime() / 1e9);
    System.out.flush();
  }

  public static void tick() {
    long done = DONE.incrementAndGet();
    if (done == 1 || done % TENTH == 0) {
      System.out.println(
          "MARK " + done + " " + System.currentTimeMillis() / 1000.0 + " " + SYSTEM.getProcessCpuTime() / 1e9);
      System.out.flush();
    }
  }
}
