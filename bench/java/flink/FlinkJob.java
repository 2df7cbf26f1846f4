import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** The job on Flink: an embedded cluster, parallelism 1, heap state, a checkpoint at least once each second. */
public final class FlinkJob {
  public static final class StateSerializer extends TypeSerializerSingleton<UserState> {
    static final StateSerializer INSTANCE = new StateSerializer();

    @Override
    public boolean isImmutableType() { return false; }

    @Override
    public UserState createInstance() { return new UserState(); }

    @Override
    public UserState copy(UserState from) { return from.copy(); }

    @Override
    public UserState copy(UserState from, UserState reuse) { return from.copy(); }

    @Override
    public int getLength() { return -1; }

    @Override
    public void serialize(UserState state, DataOutputView out) throws IOException {
      byte[] bytes = state.toBytes();
      out.writeShort(bytes.length);
      out.write(bytes);
    }

    @Override
    public UserState deserialize(DataInputView in) throws IOException {
      byte[] bytes = new byte[in.readUnsignedShort()];
      in.readFully(bytes);
      return UserState.fromBytes(bytes);
    }

    @Override
    public UserState deserialize(UserState reuse, DataInputView in) throws IOException { return deserialize(in); }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
      byte[] bytes = new byte[in.readUnsignedShort()];
      in.readFully(bytes);
      out.writeShort(bytes.length);
      out.write(bytes);
    }

    @Override
    public TypeSerializerSnapshot<UserState> snapshotConfiguration() { return new Snapshot(); }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<UserState> {
      public Snapshot() { super(() -> INSTANCE); }
    }
  }

  public static final class EventReader implements DeserializationSchema<ShopEvent> {
    private transient ObjectReader reader;

    @Override
    public void open(InitializationContext context) {
      reader = new ObjectMapper()
          .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false).readerFor(ShopEvent.class);
    }

    @Override
    public ShopEvent deserialize(byte[] bytes) throws IOException { return reader.readValue(bytes); }

    @Override
    public boolean isEndOfStream(ShopEvent event) { return false; }

    @Override
    public TypeInformation<ShopEvent> getProducedType() { return TypeInformation.of(ShopEvent.class); }
  }

  /** The key stands at a fixed place of the output: {"user_id":"u000001"... */
  public static final class Key implements SerializationSchema<byte[]> {
    @Override
    public byte[] serialize(byte[] value) { return Arrays.copyOfRange(value, 12, 19); }
  }

  public static final class Value implements SerializationSchema<byte[]> {
    @Override
    public byte[] serialize(byte[] value) { return value; }
  }

  public static final class Features extends KeyedProcessFunction<String, ShopEvent, byte[]> {
    private transient ValueState<UserState> states;

    @Override
    public void open(OpenContext context) {
      states = getRuntimeContext().getState(new ValueStateDescriptor<>("features", StateSerializer.INSTANCE));
    }

    @Override
    public void processElement(ShopEvent event, Context context, Collector<byte[]> out) throws Exception {
      int kind = event.kind();
      long millis = event.millis();
      UserState state = states.value();
      if (state == null) state = new UserState();
      state.update(kind, millis, event.cents(kind));
      states.update(state);
      if (kind >= 2) out.collect(state.emit(event.user_id, event.ts, millis));
      Meter.tick();
    }
  }

  private static Configuration settings() {
    Configuration settings = new Configuration();
    settings.setString("state.backend.type", "hashmap");
    settings.setString("execution.checkpointing.interval", "1s");
    settings.setString("execution.checkpointing.mode", "AT_LEAST_ONCE");
    settings.setString("execution.checkpointing.storage", "filesystem");
    settings.setString("execution.checkpointing.dir", new File(Setting.of("STATE")).toURI().toString());
    settings.setString("pipeline.object-reuse", "true");
    settings.setString("pipeline.generic-types", "false");
    settings.setString("taskmanager.memory.managed.size", "512m");
    settings.setString("taskmanager.memory.network.min", "64m");
    settings.setString("taskmanager.memory.network.max", "64m");
    settings.setString("rest.bind-address", "127.0.0.1");
    settings.setString("rest.port", "0");
    return settings;
  }

  public static void main(String[] arguments) throws Exception {
    String bootstrap = Setting.of("BOOTSTRAP");
    KafkaSource<ShopEvent> source = KafkaSource.<ShopEvent>builder()
        .setBootstrapServers(bootstrap).setTopics(Setting.of("INPUT")).setGroupId(Setting.of("RUN"))
        .setStartingOffsets(OffsetsInitializer.earliest()).setValueOnlyDeserializer(new EventReader()).build();
    KafkaSink<byte[]> sink = KafkaSink.<byte[]>builder()
        .setBootstrapServers(bootstrap).setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setProperty("linger.ms", "20")
        .setRecordSerializer(KafkaRecordSerializationSchema.<byte[]>builder().setTopic(Setting.of("OUTPUT"))
            .setKeySerializationSchema(new Key()).setValueSerializationSchema(new Value()).build())
        .build();
    StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(1, settings());
    flink.fromSource(source, WatermarkStrategy.noWatermarks(), "events")
        .keyBy((ShopEvent event) -> event.user_id, Types.STRING)
        .process(new Features(), PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
        .sinkTo(sink);
    flink.execute("rolling features");
  }
}
