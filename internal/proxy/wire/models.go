package wire

import "strconv"

// Model is one entry of GET models.
type Model struct {
	ID      string
	Created int64  // Unix seconds
	OwnedBy string // "" is "spillway"
}

// AppendModels appends the body of GET models.
func AppendModels(dst []byte, f Family, models []Model) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, f, m)
	}
	return append(dst, "]}"...)
}

// AppendModel appends the body of GET models/{id}. Azure's classic shape
// differs from OpenAI's, which Azure v1 uses.
func AppendModel(dst []byte, f Family, m Model) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, m.ID)
	if f == Azure {
		dst = append(dst, `,"object":"model","status":"succeeded","lifecycle_status":"generally-available","created_at":`...)
		dst = strconv.AppendInt(dst, m.Created, 10)
		return append(dst, '}')
	}
	dst = append(dst, `,"object":"model","created":`...)
	dst = strconv.AppendInt(dst, m.Created, 10)
	dst = append(dst, `,"owned_by":`...)
	owner := m.OwnedBy
	if owner == "" {
		owner = "spillway"
	}
	dst = appendString(dst, owner)
	return append(dst, '}')
}
