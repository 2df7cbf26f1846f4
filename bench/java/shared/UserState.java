import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A user's rings on the heap, with a compact codec (only used buckets, varints). */
public final class UserState {
  private static final int HOURS = 24, DAYS = 30, KINDS = 5, RECENT = 32;
  private static final long HOUR = 3_600_000, DAY = 86_400_000;
  private static final ThreadLocal<byte[]> BUFFER = ThreadLocal.withInitial(() -> new byte[8192]);

  private final int[] hour = new int[HOURS], hourCounts = new int[HOURS * KINDS];
  private final long[] hourSpend = new long[HOURS];
  private final int[] day = new int[DAYS], dayCounts = new int[DAYS * KINDS];
  private final long[] daySpend = new long[DAYS];
  private final long[] last = new long[KINDS], recent = new long[RECENT];
  private int recentCount, recentNext;

  public void update(int kind, long millis, long cents) {
    int h = (int) (millis / HOUR), d = (int) (millis / DAY), i = h % HOURS, j = d % DAYS;
    if (hour[i] != h) {
      hour[i] = h;
      for (int x = 0; x < KINDS; x++) hourCounts[i * KINDS + x] = 0;
      hourSpend[i] = 0;
    }
    if (day[j] != d) {
      day[j] = d;
      for (int x = 0; x < KINDS; x++) dayCounts[j * KINDS + x] = 0;
      daySpend[j] = 0;
    }
    hourCounts[i * KINDS + kind]++;
    dayCounts[j * KINDS + kind]++;
    hourSpend[i] += cents;
    daySpend[j] += cents;
    last[kind] = millis;
    recent[recentNext] = millis * 8 + kind;
    recentNext = (recentNext + 1) & (RECENT - 1);
    if (recentCount < RECENT) recentCount++;
  }

  /** The output record: counts of the current hour, of 24 hours and of 7 days up to the event at `millis`. */
  public byte[] emit(String user, String ts, long millis) {
    int h = (int) (millis / HOUR), d = (int) (millis / DAY);
    long[] thisHour = new long[KINDS], aDay = new long[KINDS], aWeek = new long[KINDS];
    long spendDay = 0, spendWeek = 0;
    for (int x = 0; x < KINDS; x++) thisHour[x] = hourCounts[(h % HOURS) * KINDS + x];
    long spendHour = hourSpend[h % HOURS];
    for (int i = 0; i < HOURS; i++)
      if (hour[i] > h - 24) {
        for (int x = 0; x < KINDS; x++) aDay[x] += hourCounts[i * KINDS + x];
        spendDay += hourSpend[i];
      }
    for (int i = 0; i < DAYS; i++)
      if (day[i] > d - 7) {
        for (int x = 0; x < KINDS; x++) aWeek[x] += dayCounts[i * KINDS + x];
        spendWeek += daySpend[i];
      }
    StringBuilder text = new StringBuilder(220);
    text.append("{\"user_id\":\"").append(user).append("\",\"ts\":\"").append(ts).append("\",\"c1h\":");
    append(text, thisHour);
    text.append(",\"s1h\":").append(spendHour).append(",\"c1d\":");
    append(text, aDay);
    text.append(",\"s1d\":").append(spendDay).append(",\"c7d\":");
    append(text, aWeek);
    text.append(",\"s7d\":").append(spendWeek).append('}');
    return text.toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private static void append(StringBuilder text, long[] counts) {
    text.append('[');
    for (int i = 0; i < KINDS; i++) {
      if (i > 0) text.append(',');
      text.append(counts[i]);
    }
    text.append(']');
  }

  public byte[] toBytes() {
    byte[] b = BUFFER.get();
    int p = 1, used = 0;
    for (int i = 0; i < HOURS; i++)
      if (hour[i] != 0) {
        used++;
        p = varint(b, p, hour[i]);
        for (int x = 0; x < KINDS; x++) p = varint(b, p, hourCounts[i * KINDS + x]);
        p = varint(b, p, hourSpend[i]);
      }
    b[0] = (byte) used;
    int at = p++;
    used = 0;
    for (int i = 0; i < DAYS; i++)
      if (day[i] != 0) {
        used++;
        p = varint(b, p, day[i]);
        for (int x = 0; x < KINDS; x++) p = varint(b, p, dayCounts[i * KINDS + x]);
        p = varint(b, p, daySpend[i]);
      }
    b[at] = (byte) used;
    for (int x = 0; x < KINDS; x++) p = varint(b, p, last[x]);
    b[p++] = (byte) recentCount;
    int first = (recentNext - recentCount) & (RECENT - 1);
    long before = 0;
    for (int i = 0; i < recentCount; i++) {
      long value = recent[(first + i) & (RECENT - 1)], step = value - before;
      p = varint(b, p, (step << 1) ^ (step >> 63));
      before = value;
    }
    return Arrays.copyOf(b, p);
  }

  public static UserState fromBytes(byte[] bytes) {
    UserState state = new UserState();
    Reader in = new Reader(bytes);
    for (int n = in.one(); n > 0; n--) {
      int h = (int) in.varint(), i = h % HOURS;
      state.hour[i] = h;
      for (int x = 0; x < KINDS; x++) state.hourCounts[i * KINDS + x] = (int) in.varint();
      state.hourSpend[i] = in.varint();
    }
    for (int n = in.one(); n > 0; n--) {
      int d = (int) in.varint(), i = d % DAYS;
      state.day[i] = d;
      for (int x = 0; x < KINDS; x++) state.dayCounts[i * KINDS + x] = (int) in.varint();
      state.daySpend[i] = in.varint();
    }
    for (int x = 0; x < KINDS; x++) state.last[x] = in.varint();
    state.recentCount = in.one();
    long before = 0;
    for (int i = 0; i < state.recentCount; i++) {
      long zigzag = in.varint();
      before += (zigzag >>> 1) ^ -(zigzag & 1);
      state.recent[i] = before;
    }
    state.recentNext = state.recentCount & (RECENT - 1);
    return state;
  }

  public UserState copy() {
    UserState other = new UserState();
    System.arraycopy(hour, 0, other.hour, 0, HOURS);
    System.arraycopy(hourCounts, 0, other.hourCounts, 0, HOURS * KINDS);
    System.arraycopy(hourSpend, 0, other.hourSpend, 0, HOURS);
    System.arraycopy(day, 0, other.day, 0, DAYS);
    System.arraycopy(dayCounts, 0, other.dayCounts, 0, DAYS * KINDS);
    System.arraycopy(daySpend, 0, other.daySpend, 0, DAYS);
    System.arraycopy(last, 0, other.last, 0, KINDS);
    System.arraycopy(recent, 0, other.recent, 0, RECENT);
    other.recentCount = recentCount;
    other.recentNext = recentNext;
    return other;
  }

  private static int varint(byte[] b, int p, long value) {
    while ((value & ~0x7FL) != 0) {
      b[p++] = (byte) (value | 0x80);
      value >>>= 7;
    }
    b[p++] = (byte) value;
    return p;
  }

  private static final class Reader {
    private final byte[] bytes;
    private int at;

    Reader(byte[] bytes) { this.bytes = bytes; }

    int one() { return bytes[at++]; }

    long varint() {
      long value = 0;
      int shift = 0;
      while (true) {
        byte next = bytes[at++];
        value |= (long) (next & 0x7F) << shift;
        if (next >= 0) return value;
        shift += 7;
      }
    }
  }
}
