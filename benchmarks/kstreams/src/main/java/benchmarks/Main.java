// The workloads with Kafka Streams: `java -cp ... benchmarks.Main filter|count|...`; settings from the environment.
package benchmarks;

import benchmarks.Records.Account;
import benchmarks.Records.Enriched;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
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
    private static final Set<String> WINDOWED = Set.of("tumbling", "sliding", "sessions", "join");

    private Main() {
    }

    public static void main(String[] arguments) {
        StreamsBuilder builder = new StreamsBuilder();
        Properties properties = properties();
        String input = variable("INPUT");
        String output = variable("OUTPUT");
        switch (arguments[0]) {
            case "filter" -> filter(builder, input, output);
            case "count" -> count(builder, input);
            case "enrich" -> enrich(builder, input, output);
            case "tumbling" -> Windows.tumbling(builder, input, output);
            case "sliding" -> Windows.sliding(builder, input, output);
            case "sessions" -> Windows.sessions(builder, input, output);
            case "join" -> Windows.join(builder, input, variable("SHIPMENTS"), output);
            default -> throw new IllegalArgumentException("no workload: " + arguments[0]);
        }
        if (WINDOWED.contains(arguments[0])) {
            // Every update of a window goes out, and at once, as it does with the others.
            properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        }
        KafkaStreams streams = new KafkaStreams(builder.build(properties), properties);
        streams.setUncaughtExceptionHandler(Main::fail);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static void filter(StreamsBuilder builder, String input, String output) {
        double limit = Double.parseDouble(variable("LIMIT"));
        builder.stream(input, Consumed.with(Records.TEXT, Records.ORDER))
            .filter((key, order) -> order.amount > limit)
            .to(output, Produced.with(Records.TEXT, Records.ORDER));
    }

    private static void count(StreamsBuilder builder, String input) {
        builder.stream(input, Consumed.with(Records.TEXT, Serdes.ByteArray()))
            .groupByKey()
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts").withKeySerde(Records.TEXT));
    }

    private static void enrich(StreamsBuilder builder, String input, String output) {
        KTable<String, Account> accounts = builder.table(variable("TABLE"), Consumed.with(Records.TEXT, Records.ACCOUNT));
        builder.stream(input, Consumed.with(Records.TEXT, Records.ORDER))
            .join(accounts, Enriched::new, Joined.with(Records.TEXT, Records.ORDER, Records.ACCOUNT))
            .to(output, Produced.with(Records.TEXT, Records.ENRICHED));
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
}
