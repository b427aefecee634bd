package azuresim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/stat"
)

// vectorSizes is constant: the dimensions of the embedding models.
var vectorSizes = map[string]int{
	"text-embedding-3-small": 1536,
	"text-embedding-3-large": 3072,
	"text-embedding-ada-002": 1536,
}

// maxInputs bounds the texts of one embeddings request, as the service does.
const maxInputs = 2048

// embeddings answers an embeddings request.
func (x *exchange) embeddings(body []byte) error {
	var r struct {
		Input          json.RawMessage `json:"input"`
		Dimensions     *int            `json:"dimensions"`
		EncodingFormat string          `json:"encoding_format"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	texts := inputTexts(r.Input)
	if len(texts) == 0 || len(texts) > maxInputs {
		return &badRequest{"Invalid 'input': expected a string or an array of 1 to " + itoa(maxInputs) + " texts.", "input", "invalid_value"}
	}
	size := vectorSizes[x.dep.config.Model]
	if size == 0 {
		size = 1536
	}
	if r.Dimensions != nil {
		if *r.Dimensions < 1 || *r.Dimensions > size {
			return &badRequest{"Invalid value for 'dimensions' = " + itoa(*r.Dimensions) + ". Must be between 1 and " + itoa(size) + ".", "dimensions", "invalid_value"}
		}
		size = *r.Dimensions
	}
	tokens := 0
	for _, t := range texts {
		tokens += (len(t) + bytesPerToken - 1) / bytesPerToken
	}
	if !x.admit(fleet.Ask{PromptTokens: tokens, Prefill: true}) {
		return nil
	}
	if !x.pace.until(x.plan.End) {
		x.finish(spillway.StatusClientGone, 0)
		return nil
	}
	b := []byte(`{"object":"list","data":[`)
	for i, t := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"object":"embedding","index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"embedding":`...)
		b = appendVector(b, vector(t, size), r.EncodingFormat == "base64")
		b = append(b, '}')
	}
	b = append(b, `],"model":`...)
	b = appendQuoted(b, x.dep.config.Model)
	if !x.plan.NoUsage {
		b = append(b, `,"usage":{"prompt_tokens":`...)
		b = strconv.AppendInt(b, int64(tokens), 10)
		b = appendField(b, "total_tokens", tokens)
		b = append(b, '}')
	}
	b = append(b, '}')
	if at, broken := x.plan.BreakAt(); broken && at <= x.plan.End {
		x.breakSync(x.plan.Break.Kind, b)
		return nil
	}
	x.finish(x.plan.Status, 0)
	if x.plan.Status != http.StatusOK {
		x.timeout()
		return nil
	}
	writeBody(x.w, http.StatusOK, b)
	return nil
}

// vector is a unit vector that depends on the text alone. Fewer dimensions are
// a normalized head of more, as with the real models.
func vector(text string, size int) []float32 {
	var p prompt
	p.add(text)
	v, sum := make([]float32, size), 0.0
	for i := range v {
		f := float64(stat.Mix(p.hash+uint64(i))>>11)/(1<<53) - 0.5
		v[i] = float32(f)
		sum += f * f
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= scale
	}
	return v
}

// appendVector appends a vector as an array or as base64 of little-endian
// float32, which the openai SDKs ask for.
func appendVector(b []byte, v []float32, encoded bool) []byte {
	if encoded {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, raw)
		return append(b, '"')
	}
	for i, f := range v {
		b = append(b, [2]byte{'[', ','}[min(i, 1)])
		b = strconv.AppendFloat(b, float64(f), 'g', -1, 32)
	}
	return append(b, ']')
}
