package matrix;

import static matrix.AnswersTest.accumulate;
import static matrix.AnswersTest.chat;
import static matrix.Gateway.MODEL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.openai.client.OpenAIClient;
import com.openai.errors.BadRequestException;
import com.openai.errors.InternalServerException;
import com.openai.errors.OpenAIException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.RateLimitException;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import matrix.Gateway.Family;
import matrix.Gateway.Script;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Errors come out as the types that callers catch; time runs out in order. */
class FailuresTest {
    private static final String LONG = "Write a long report. [[tokens=6000]]";

    private static final String RETRY = """
            [{"status": 429, "headers": {"content-type": "application/json", "retry-after": "6"},
              "body": "{\\"error\\": {\\"code\\": \\"429\\", \\"message\\": \\"Try again in 6 seconds.\\"}}"},
             {"headers": {"content-type": "application/json"},
              "body": "{\\"id\\": \\"c\\", \\"object\\": \\"chat.completion\\", \\"created\\": 1, \\"model\\": \\"m\\", \\"choices\\": [{\\"index\\": 0, \\"message\\": {\\"role\\": \\"assistant\\", \\"content\\": \\"All well.\\"}, \\"finish_reason\\": \\"stop\\"}]}"}]
            """;

    private static List<ChatCompletionChunk> stream(OpenAIClient client, String model, String prompt) {
        List<ChatCompletionChunk> chunks = new ArrayList<>();
        accumulate(client, chat(model, prompt).build(), chunks);
        return chunks;
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void upstreamFails(Family family) {
        OpenAIClient client = family.connect(Gateway.FAULTY_URL).build();
        Map<String, Class<? extends OpenAIServiceException>> kinds = Map.of(
                "throttled", RateLimitException.class,
                "broken", InternalServerException.class,
                "filtered", BadRequestException.class);
        kinds.forEach((model, kind) -> {
            assertThrows(kind, () -> client.chat().completions().create(chat(model, "Hi.").build()));
            assertThrows(kind, () -> stream(client, model, "Hi."));
        });
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void itsOwnRetry(Family family) {
        Script script = Script.put(RETRY);
        OpenAIClient client = family.connect(Gateway.FAULTY_URL).maxRetries(5).putHeader("x-script", script.mark()).build();
        ChatCompletion answer = client.chat().completions().create(chat(script.model(), "Hi.").build());
        assertEquals("All well.", answer.choices().get(0).message().content().orElseThrow());
        assertEquals(2, script.count());
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void brokenStream(Family family) {
        OpenAIClient client = family.connect(Gateway.FAULTY_URL).build();
        assertThrows(OpenAIException.class, () -> stream(client, "cut", "Hi."));
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void heartbeats(Family family) {
        OpenAIClient client = family.connect(Gateway.FAULTY_URL).build();
        for (String model : List.of("pauses", "numbered")) {
            String text = stream(client, model, "Hi.").stream().flatMap(c -> c.choices().stream())
                    .flatMap(c -> c.delta().content().stream()).collect(Collectors.joining());
            assertEquals("word ".repeat(4), text);
        }
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void noTokenInTime(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).maxRetries(1).putHeader("x-spillway-deadline-ms", "20").build();
        for (boolean streamed : new boolean[] {false, true}) {
            OpenAIServiceException e = assertThrows(OpenAIServiceException.class, () -> {
                if (streamed) {
                    stream(client, MODEL, LONG);
                } else {
                    client.chat().completions().create(chat(MODEL, LONG).build());
                }
            });
            assertEquals(408, e.statusCode());
            assertFalse(e.headers().values("x-spillway-request-id").isEmpty());
        }
    }

    // The whole answer takes a minute and more. On a busy machine there may be no token in time, and more time is given.
    @ParameterizedTest
    @EnumSource(Family.class)
    void cutAtTheDeadline(Family family) {
        ChatCompletion answer = null;
        for (String ms : List.of("3000", "10000", "40000")) {
            OpenAIClient client = family.connect(Gateway.URL).putHeader("x-spillway-deadline-ms", ms).build();
            try {
                answer = client.chat().completions().create(chat(MODEL, LONG).build());
                break;
            } catch (OpenAIServiceException e) {
                assertEquals(408, e.statusCode());
            }
        }
        assertEquals(ChatCompletion.Choice.FinishReason.LENGTH, answer.choices().get(0).finishReason());
        assertFalse(answer.choices().get(0).message().content().orElseThrow().isEmpty());
    }
}
