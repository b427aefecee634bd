package matrix;

import com.openai.azure.AzureOpenAIServiceVersion;
import com.openai.azure.AzureUrlPathMode;
import com.openai.azure.credential.AzureApiKeyCredential;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Objects;
import java.util.UUID;

/** The gateways and the upstream that the tests use, by their addresses. */
final class Gateway {
    /** A gateway with its demonstration fleet. */
    static final String URL = required("SPILLWAY_URL");
    /** A gateway whose only upstream fails in known ways. */
    static final String FAULTY_URL = required("SPILLWAY_FAULTY_URL");
    private static final String UPSTREAM_URL = required("SPILLWAY_UPSTREAM_URL");
    static final String KEY = required("SPILLWAY_KEY");

    static final String MODEL = "gpt-4o-mini";
    static final String EMBEDDING = "text-embedding-3-small";

    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private Gateway() {}

    /** The path families. */
    enum Family {
        AZURE,
        AZURE_V1,
        OPENAI;

        /** Returns a client whose address and key are ours; it does not retry. */
        OpenAIOkHttpClient.Builder connect(String url) {
            OpenAIOkHttpClient.Builder builder = OpenAIOkHttpClient.builder().maxRetries(0);
            return switch (this) {
                // The SDK knows Azure by the host name; elsewhere it must be told.
                case AZURE -> builder.baseUrl(url)
                        .azureUrlPathMode(AzureUrlPathMode.LEGACY)
                        .azureServiceVersion(AzureOpenAIServiceVersion.fromString("2025-04-01-preview"))
                        .credential(AzureApiKeyCredential.create(KEY));
                case AZURE_V1 -> builder.baseUrl(url + "/openai/v1").apiKey(KEY);
                case OPENAI -> builder.baseUrl(url + "/v1").apiKey(KEY);
            };
        }
    }

    /** Answers at the upstream, for requests with the header x-script to this model, which no other test has. */
    record Script(String mark, String model) {
        static Script put(String answers) {
            String mark = UUID.randomUUID().toString();
            return new Script(mark, send(HttpRequest.newBuilder(at(mark)).PUT(HttpRequest.BodyPublishers.ofString(answers))));
        }

        /** Returns the number of requests that have arrived. */
        int count() {
            return Integer.parseInt(send(HttpRequest.newBuilder(at(mark))));
        }

        private static URI at(String mark) {
            return URI.create(UPSTREAM_URL + "/scripts/" + mark);
        }

        private static String send(HttpRequest.Builder request) {
            try {
                HttpResponse<String> response = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
                if (response.statusCode() != 200) {
                    throw new IllegalStateException(response.body());
                }
                return response.body();
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static String required(String name) {
        return Objects.requireNonNull(System.getenv(name), name + " is not set");
    }
}
