package wire

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

const formType = `multipart/form-data; boundary="b b"`

// crlf writes a form by lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func TestReadForm(t *testing.T) {
	field := func(name, value string) string {
		return crlf("--b b", `Content-Disposition: form-data; name="`+name+`"`, "", value, "")
	}
	file := crlf("--b b", `Content-Disposition: form-data; name="file"; filename="model"`, "Content-Type: audio/wav", "", "\x00\r\n--b\r\n\r\nmodel\r\n", "")
	const end = "--b b--\r\n"
	for _, tt := range []struct {
		name, contentType, body string
		model                   string
		patched                 string // with the model whisper-2
	}{
		{"first", formType, field("model", "whisper-1") + file + end, "whisper-1", field("model", "whisper-2") + file + end},
		{"last, with a preamble", formType, "hello\r\n" + file + field("model", "whisper-1") + end, "whisper-1", "hello\r\n" + file + field("model", "whisper-2") + end},
		{"empty", formType, field("model", "") + end, "", field("model", "whisper-2") + end},
		{"absent", formType, file + end, "", field("model", "whisper-2") + file + end},
		{"absent, with a preamble", formType, "hello\r\n" + file + end, "", "hello\r\n" + field("model", "whisper-2") + file + end},
		{
			"other spelling", "Multipart/Form-Data; boundary=b", crlf("--b ", "content-type: text/plain", `CONTENT-DISPOSITION:form-data;name=model`, "", "m", "--b--"),
			"m", crlf("--b ", "content-type: text/plain", `CONTENT-DISPOSITION:form-data;name=model`, "", "whisper-2", "--b--"),
		},
		{"a file of that name", formType, strings.Replace(file, `"file"`, `"model"`, 1) + end, "", field("model", "whisper-2") + strings.Replace(file, `"file"`, `"model"`, 1) + end},
		{"the field of a part within a file", formType, crlf("--b b", `Content-Disposition: form-data; name="x"`, "", "--b", `Content-Disposition: form-data; name="model"`, "", "m", "") + end, "", ""},
		{"cut", formType, field("model", "whisper-1") + file, "whisper-1", field("model", "whisper-2") + file},
		{"no form", "application/json", field("model", "whisper-1") + end, "", field("model", "whisper-1") + end},
		{"no boundary", "multipart/form-data", field("model", "whisper-1") + end, "", field("model", "whisper-1") + end},
		{"another boundary", "multipart/form-data; boundary=c", field("model", "whisper-1") + end, "", field("model", "whisper-1") + end},
		{"no body", formType, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ReadAsk(spillway.APIOther, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if err := a.ReadForm(tt.contentType, []byte(tt.body)); err != nil || a.Model != tt.model {
				t.Errorf("model %q, %v; want %q", a.Model, err, tt.model)
			}
			if got := string(a.Patch(nil, []byte(tt.body), Patch{Model: "whisper-2"})); tt.patched != "" && got != tt.patched {
				t.Errorf("patched to\n%q, want\n%q", got, tt.patched)
			}
			if got := string(a.Patch(nil, []byte(tt.body), Patch{})); got != tt.body {
				t.Errorf("changed to\n%q", got)
			}
		})
	}
	var a Ask
	twice := field("model", "a") + field("model", "b") + end
	if bad, ok := errors.AsType[*BadRequest](a.ReadForm(formType, []byte(twice))); !ok || bad.Param != "model" {
		t.Errorf("a model twice: %v", bad)
	}
}

// FuzzReadForm reads forms as mime/multipart does: what that reads has the same model,
// and another model after it was changed.
func FuzzReadForm(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n")
	f.Add("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n--b")
	f.Add("--b\r\nContent-Disposition:form-data;name=\"model\" \n\r\n\r\n--b")
	f.Add("x\r\n--b  \r\n\r\n\r\n--b\r\nA: model\r\n\r\n--b--")
	const contentType = "multipart/form-data; boundary=b"
	models := func(body []byte) (list []string, err error) {
		form := multipart.NewReader(bytes.NewReader(body), "b")
		for {
			part, err := form.NextRawPart()
			if errors.Is(err, io.EOF) {
				return list, nil
			} else if err != nil {
				return nil, err
			}
			text, err := io.ReadAll(part)
			if err != nil {
				return nil, err
			}
			if part.FormName() == "model" && part.FileName() == "" {
				list = append(list, string(text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		var a Ask
		if err := a.ReadForm(contentType, []byte(body)); err != nil || a.formModel == (span{}) || len(a.Model) >= maxTextBytes {
			return
		}
		want, err := models([]byte(body))
		if err != nil || len(want) != 1 || want[0] != a.Model {
			return // a stricter reader, or one that takes other line ends
		}
		got, err := models(a.Patch(nil, []byte(body), Patch{Model: "other"}))
		if err != nil || len(got) != 1 || got[0] != "other" {
			t.Errorf("%q has the models %q, %v after the change", body, got, err)
		}
	})
}
