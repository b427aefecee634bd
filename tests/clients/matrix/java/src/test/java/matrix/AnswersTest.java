package matrix;

import static matrix.Gateway.EMBEDDING;
import static matrix.Gateway.MODEL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.openai.client.OpenAIClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessage;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.Embedding;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStreamEvent;
import java.util.List;
import java.util.stream.Collectors;
import matrix.Gateway.Family;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Chat, tools, structured output, the Responses API and embeddings. */
class AnswersTest {
    // The schemas of these classes go with the requests.
    static class GetWeather {
        public String city;
    }

    static class GetTime {
        public String city;
    }

    static class Invoice {
        public String number;
        public double total;
    }

    private static final String BOTH = "Weather and time in Oslo? [[tool=GetWeather,GetTime]][[tokens=10]]";

    static ChatCompletionCreateParams.Builder chat(String model, String prompt) {
        return ChatCompletionCreateParams.builder().model(model).addUserMessage(prompt);
    }

    /** Returns what the SDK makes of a stream; pieces gets the chunks that have text. */
    static ChatCompletionAccumulator accumulate(OpenAIClient client, ChatCompletionCreateParams params, List<ChatCompletionChunk> chunks) {
        ChatCompletionAccumulator whole = ChatCompletionAccumulator.create();
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(params)) {
            stream.stream().peek(whole::accumulate).forEach(chunks::add);
        }
        return whole;
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void chat(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        ChatCompletion answer = client.chat().completions().create(chat(MODEL, "Say hello. [[tokens=12]]").build()).validate();
        assertEquals(ChatCompletion.Choice.FinishReason.STOP, answer.choices().get(0).finishReason());
        assertFalse(answer.choices().get(0).message().content().orElseThrow().isEmpty());
        assertEquals(12, answer.usage().orElseThrow().completionTokens());
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void stream(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        List<ChatCompletionChunk> chunks = new java.util.ArrayList<>();
        ChatCompletion whole = accumulate(client, chat(MODEL, "Count. [[tokens=200]]")
                .streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build()).build(), chunks).chatCompletion();
        assertEquals(200, whole.usage().orElseThrow().completionTokens());
        assertEquals(ChatCompletion.Choice.FinishReason.STOP, whole.choices().get(0).finishReason());
        String text = chunks.stream().flatMap(c -> c.choices().stream()).flatMap(c -> c.delta().content().stream())
                .collect(Collectors.joining());
        assertEquals(text, whole.choices().get(0).message().content().orElseThrow());
        assertTrue(chunks.size() > 4, chunks.size() + " chunks"); // of 20 tokens on average
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void streamWithoutUsage(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        List<ChatCompletionChunk> chunks = new java.util.ArrayList<>();
        accumulate(client, chat(MODEL, "Count. [[tokens=20]]").build(), chunks);
        for (ChatCompletionChunk chunk : chunks) {
            assertTrue(chunk.usage().isEmpty(), chunk.toString());
        }
    }

    private static void checkCalls(ChatCompletionMessage message) {
        List<String> names = message.toolCalls().orElseThrow().stream().map(call -> {
            var function = call.asFunction().function();
            String city = function.name().equals("GetTime")
                    ? function.arguments(GetTime.class).city : function.arguments(GetWeather.class).city;
            assertNotNull(city, function.arguments());
            return function.name();
        }).toList();
        assertEquals(List.of("GetWeather", "GetTime"), names);
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void tools(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        ChatCompletionCreateParams params = chat(MODEL, BOTH).addTool(GetWeather.class).addTool(GetTime.class).build();
        checkCalls(client.chat().completions().create(params).choices().get(0).message());
        checkCalls(accumulate(client, params, new java.util.ArrayList<>()).chatCompletion().choices().get(0).message());
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void structured(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        var params = chat(MODEL, "Extract the invoice.").responseFormat(Invoice.class).build();
        Invoice invoice = client.chat().completions().create(params).choices().get(0).message().content().orElseThrow();
        assertNotNull(invoice.number);
        Invoice streamed = accumulate(client, params.rawParams(), new java.util.ArrayList<>()).chatCompletion(Invoice.class)
                .choices().get(0).message().content().orElseThrow();
        assertNotNull(streamed.number);
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void embeddings(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        CreateEmbeddingResponse answer = client.embeddings().create(
                EmbeddingCreateParams.builder().model(EMBEDDING).inputOfArrayOfStrings(List.of("a lock", "a weir")).build());
        assertEquals(2, answer.data().size());
        for (Embedding e : answer.data()) {
            double square = e.embedding().stream().mapToDouble(x -> x * x).sum();
            assertEquals(1536, e.embedding().size());
            assertEquals(1, square, 1e-3);
        }
    }

    private static String text(Response response) {
        return response.output().stream().flatMap(item -> item.message().stream()).flatMap(m -> m.content().stream())
                .flatMap(c -> c.outputText().stream()).map(t -> t.text()).collect(Collectors.joining());
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void responses(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        ResponseCreateParams.Builder ask = ResponseCreateParams.builder().model(MODEL).input("Say hello. [[tokens=12]]");
        Response first = client.responses().create(ask.build());
        Response second = client.responses().create(ask.previousResponseId(first.id()).build());
        assertFalse(text(first).isEmpty());
        assertFalse(text(second).isEmpty());
        assertNotEquals(first.id(), second.id());
        assertEquals(12, second.usage().orElseThrow().outputTokens());
        assertThrows(BadRequestException.class, () -> client.responses().create(ask.previousResponseId("resp_unknown").build()));
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void responseStream(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        ResponseAccumulator whole = ResponseAccumulator.create();
        StringBuilder text = new StringBuilder();
        try (StreamResponse<ResponseStreamEvent> stream = client.responses().createStreaming(
                ResponseCreateParams.builder().model(MODEL).input("Count. [[tokens=40]]").build())) {
            stream.stream().peek(whole::accumulate).flatMap(e -> e.outputTextDelta().stream()).forEach(d -> text.append(d.delta()));
        }
        assertFalse(text.isEmpty());
        assertEquals(text.toString(), text(whole.response()));
        assertEquals(40, whole.response().usage().orElseThrow().outputTokens());
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void structuredResponse(Family family) {
        OpenAIClient client = family.connect(Gateway.URL).build();
        var answer = client.responses().create(
                ResponseCreateParams.builder().model(MODEL).input("Extract the invoice.").text(Invoice.class).build());
        Invoice invoice = answer.output().stream().flatMap(item -> item.message().stream()).flatMap(m -> m.content().stream())
                .flatMap(c -> c.outputText().stream()).findFirst().orElseThrow();
        assertNotNull(invoice.number);
    }
}
