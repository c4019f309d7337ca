// What is in the topics, and how it is read and written.
package benchmarks;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

final class Records {
    static final Serde<String> TEXT = Serdes.String();
    static final Serde<Long> NUMBER = Serdes.Long();
    static final Serde<Order> ORDER = json(Order.class);
    static final Serde<Account> ACCOUNT = json(Account.class);
    static final Serde<Enriched> ENRICHED = json(Enriched.class);
    static final Serde<Shipment> SHIPMENT = json(Shipment.class);
    static final Serde<Shipped> SHIPPED = json(Shipped.class);

    private Records() {
    }

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

    public static final class Shipment {
        public long id;
        public String account;
        public String carrier;
        public int parcels;
        public double weight;
        public boolean insured;
    }

    public static final class Shipped {
        public final long id;
        public final String account;
        public final double amount;
        public final long shipment;
        public final String carrier;

        Shipped(Order order, Shipment sent) {
            id = order.id;
            account = order.account;
            amount = order.amount;
            shipment = sent.id;
            carrier = sent.carrier;
        }
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
