package matrix;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.RequestOptions;
import com.openai.core.Timeout;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** The SDK says how long it waits, whether the timeout is the client's or a request's. */
class TimeoutsTest {
    private static final String ANSWER = "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":"
            + "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi.\"},\"finish_reason\":\"stop\"}]}";

    /** Sends one request with these timeouts, null for none, and returns its headers about them. */
    private static Map<String, String> sent(Timeout ofClient, Timeout ofRequest) throws IOException {
        AtomicReference<Map<String, String>> seen = new AtomicReference<>(Map.of());
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            Map<String, String> timeouts = new TreeMap<>();
            exchange.getRequestHeaders().forEach((name, values) -> {
                if (name.toLowerCase().contains("timeout")) {
                    timeouts.put(name.toLowerCase(), values.get(0));
                }
            });
            seen.set(timeouts);
            byte[] body = ANSWER.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("content-type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        try {
            OpenAIOkHttpClient.Builder builder = OpenAIOkHttpClient.builder()
                    .baseUrl("http://127.0.0.1:" + server.getAddress().getPort()).apiKey("any").maxRetries(0);
            if (ofClient != null) {
                builder.timeout(ofClient);
            }
            OpenAIClient client = builder.build();
            RequestOptions.Builder options = RequestOptions.builder();
            if (ofRequest != null) {
                options.timeout(ofRequest);
            }
            client.chat().completions().create(AnswersTest.chat("m", "Hi.").build(), options.build());
            return seen.get();
        } finally {
            server.stop(0);
        }
    }

    private static Timeout of(long ms) {
        return Timeout.builder().request(Duration.ofMillis(ms)).build();
    }

    @Test
    void headers() throws IOException {
        Map<String, String> seven = Map.of("x-stainless-timeout", "7", "x-stainless-read-timeout", "7");
        assertEquals(Map.of("x-stainless-timeout", "600", "x-stainless-read-timeout", "600"), sent(null, null));
        assertEquals(seven, sent(of(7000), null));
        assertEquals(seven, sent(null, of(7000)));
        // Parts of a second are lost.
        assertEquals(seven, sent(null, of(7900)));
    }
}
