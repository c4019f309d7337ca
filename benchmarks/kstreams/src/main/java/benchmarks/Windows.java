// W3, W3s, W3w and W3j: sums in windows, and a join of two streams. State is kept as long as by default.
package benchmarks;

import benchmarks.Records.Order;
import benchmarks.Records.Shipped;
import java.time.Duration;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

final class Windows {
    private static final Duration TUMBLING = Duration.ofSeconds(60);
    private static final Duration GAP = Duration.ofSeconds(10);
    private static final Duration SLIDING = Duration.ofSeconds(200);
    private static final Duration WITHIN = Duration.ofSeconds(10);
    private static final Duration GRACE = Duration.ofSeconds(1);

    private Windows() {
    }

    static void tumbling(StreamsBuilder builder, String input, String output) {
        KTable<Windowed<String>, Long> sums = orders(builder, input)
            .windowedBy(TimeWindows.ofSizeWithNoGrace(TUMBLING))
            .aggregate(() -> 0L, Windows::add, Windows.<WindowStore<Bytes, byte[]>>kept());
        fixed(sums, TUMBLING, output);
    }

    static void sliding(StreamsBuilder builder, String input, String output) {
        KTable<Windowed<String>, Long> sums = orders(builder, input)
            .windowedBy(SlidingWindows.ofTimeDifferenceWithNoGrace(SLIDING))
            .aggregate(() -> 0L, Windows::add, Windows.<WindowStore<Bytes, byte[]>>kept());
        fixed(sums, SLIDING, output);
    }

    static void sessions(StreamsBuilder builder, String input, String output) {
        orders(builder, input)
            .windowedBy(SessionWindows.ofInactivityGapWithNoGrace(GAP))
            .aggregate(
                () -> 0L, Windows::add, (key, one, two) -> one + two, Windows.<SessionStore<Bytes, byte[]>>kept())
            .toStream()
            .to(output, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Records.NUMBER));
    }

    static void join(StreamsBuilder builder, String input, String shipments, String output) {
        // The grace keeps what is just WITHIN old for when both sides have reached the same millisecond.
        JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(WITHIN, GRACE).before(Duration.ZERO);
        builder.stream(input, Consumed.with(Records.TEXT, Records.ORDER))
            .join(
                builder.stream(shipments, Consumed.with(Records.TEXT, Records.SHIPMENT)),
                Shipped::new,
                within,
                StreamJoined.with(Records.TEXT, Records.ORDER, Records.SHIPMENT))
            .to(output, Produced.with(Records.TEXT, Records.SHIPPED));
    }

    private static KGroupedStream<String, Order> orders(StreamsBuilder builder, String input) {
        return builder.stream(input, Consumed.with(Records.TEXT, Records.ORDER))
            .groupByKey(Grouped.with(Records.TEXT, Records.ORDER));
    }

    private static Long add(String key, Order order, Long total) {
        return total + order.quantity;
    }

    private static <S extends StateStore> Materialized<String, Long, S> kept() {
        return Materialized.<String, Long, S>as("sums").withKeySerde(Records.TEXT).withValueSerde(Records.NUMBER);
    }

    private static void fixed(KTable<Windowed<String>, Long> sums, Duration size, String output) {
        sums.toStream().to(
            output,
            Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, size.toMillis()), Records.NUMBER));
    }
}
