import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The job on Kafka Streams: Processor API, RocksDB behind a cache of 100 MiB, at least once, commit each second. */
public final class KafkaStreamsJob {
  private static final String STORE = "features";

  private static final class Features implements Processor<byte[], byte[], byte[], byte[]> {
    private final ObjectReader reader = new ObjectMapper()
        .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false).readerFor(ShopEvent.class);
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, UserState> states;

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
      context = given;
      states = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      try {
        ShopEvent event = reader.readValue(record.value());
        int kind = event.kind();
        long millis = event.millis();
        UserState state = states.get(event.user_id);
        if (state == null) state = new UserState();
        state.update(kind, millis, event.cents(kind));
        states.put(event.user_id, state);
        if (kind >= 2) context.forward(record.withValue(state.emit(event.user_id, event.ts, millis)));
        Meter.tick();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  private static final class Restoring implements StateRestoreListener {
    @Override
    public void onRestoreStart(TopicPartition partition, String store, long first, long end) {
      Meter.restore("begin");
    }

    @Override
    public void onBatchRestored(TopicPartition partition, String store, long last, long records) {}

    @Override
    public void onRestoreEnd(TopicPartition partition, String store, long records) {
      Meter.restore("end");
    }
  }

  private static Properties settings() {
    Properties settings = new Properties();
    settings.put("application.id", Setting.of("RUN"));
    settings.put("bootstrap.servers", Setting.of("BOOTSTRAP"));
    settings.put("state.dir", Setting.of("STATE"));
    settings.put("auto.offset.reset", "earliest");
    settings.put("num.stream.threads", "1");
    settings.put("commit.interval.ms", "1000");
    settings.put("statestore.cache.max.bytes", "104857600");
    settings.put("processing.guarantee", "at_least_once");
    settings.put("topology.optimization", "all");
    return settings;
  }

  public static void main(String[] arguments) {
    Serde<UserState> serde = Serdes.serdeFrom(
        (topic, state) -> state == null ? null : state.toBytes(),
        (topic, bytes) -> bytes == null ? null : UserState.fromBytes(bytes));
    StoreBuilder<KeyValueStore<String, UserState>> store =
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), serde)
            .withLoggingEnabled(Map.of())
            .withCachingEnabled();
    ProcessorSupplier<byte[], byte[], byte[], byte[]> features = new ProcessorSupplier<>() {
      @Override
      public Processor<byte[], byte[], byte[], byte[]> get() { return new Features(); }

      @Override
      public Set<StoreBuilder<?>> stores() { return Set.of(store); }
    };
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(Setting.of("INPUT"), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .process(features)
        .to(Setting.of("OUTPUT"), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings());
    streams.setGlobalStateRestoreListener(new Restoring());
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
