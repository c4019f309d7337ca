// W1, W2 and W4 with Kafka Streams: `java -cp ... benchmarks.Main filter|count|enrich`; settings from the environment.
package benchmarks;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.util.Properties;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

public final class Main {
    private static final Serde<String> TEXT = Serdes.String();
    private static final Serde<Order> ORDER = json(Order.class);
    private static final Serde<Account> ACCOUNT = json(Account.class);
    private static final Serde<Enriched> ENRICHED = json(Enriched.class);

    public static final class Order {
        public long id;
        public String account;
        public double amount;
        public String currency;
        public String country;
        public String product;
        public int quantity;
        public boolean express;
    }

    public static final class Account {
        public String account;
        public String name;
        public String tier;
        public String country;
        public int since;
        public double limit;
    }

    public static final class Enriched {
        public final long id;
        public final String account;
        public final double amount;
        public final String tier;

        Enriched(Order order, Account row) {
            id = order.id;
            account = order.account;
            amount = order.amount;
            tier = row.tier;
        }
    }

    public static void main(String[] arguments) {
        StreamsBuilder builder = new StreamsBuilder();
        switch (arguments[0]) {
            case "filter" -> filter(builder);
            case "count" -> count(builder);
            case "enrich" -> enrich(builder);
            default -> throw new IllegalArgumentException("no workload: " + arguments[0]);
        }
        Properties properties = properties();
        KafkaStreams streams = new KafkaStreams(builder.build(properties), properties);
        streams.setUncaughtExceptionHandler(Main::fail);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static void filter(StreamsBuilder builder) {
        double limit = Double.parseDouble(variable("LIMIT"));
        builder.stream(variable("INPUT"), Consumed.with(TEXT, ORDER))
            .filter((key, order) -> order.amount > limit)
            .to(variable("OUTPUT"), Produced.with(TEXT, ORDER));
    }

    private static void count(StreamsBuilder builder) {
        builder.stream(variable("INPUT"), Consumed.with(TEXT, Serdes.ByteArray()))
            .groupByKey()
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts").withKeySerde(TEXT));
    }

    private static void enrich(StreamsBuilder builder) {
        KTable<String, Account> accounts = builder.table(variable("TABLE"), Consumed.with(TEXT, ACCOUNT));
        builder.stream(variable("INPUT"), Consumed.with(TEXT, ORDER))
            .join(accounts, Enriched::new, Joined.with(TEXT, ORDER, ACCOUNT))
            .to(variable("OUTPUT"), Produced.with(TEXT, ENRICHED));
    }

    private static Properties properties() {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, variable("GROUP"));
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, variable("BROKER"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, variable("DIR"));
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        long interval = Math.round(1000 * Double.parseDouble(variable("COMMIT_INTERVAL")));
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, interval);
        // The table's topic is its own changelog, as it is for the others.
        properties.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "none");
        int batch = Integer.parseInt(variable("BATCH_BYTES"));
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), batch);
        return properties;
    }

    private static StreamThreadExceptionResponse fail(Throwable error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
        return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    }

    private static String variable(String name) {
        return System.getenv("BENCH_" + name);
    }

    private static <T> Serde<T> json(Class<T> type) {
        ObjectMapper mapper = new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        ObjectWriter writer = mapper.writerFor(type);
        ObjectReader reader = mapper.readerFor(type);
        Serializer<T> serializer = (topic, value) -> {
            try {
                return value == null ? null : writer.writeValueAsBytes(value);
            } catch (IOException error) {
                throw new SerializationException(error);
            }
        };
        Deserializer<T> deserializer = (topic, bytes) -> {
            try {
                return bytes == null ? null : reader.readValue(bytes);
            } catch (IOException error) {
                throw new SerializationException(error);
            }
        };
        return Serdes.serdeFrom(serializer, deserializer);
    }
}
