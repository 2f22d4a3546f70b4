package extprocsvc

import (
	"encoding/json"
	"strings"
)

// modelList is OpenAI's answer to GET /v1/models.
type modelList struct {
	Object string      `json:"object"`
	Data   []modelData `json:"data"`
}

type modelData struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// listModels is the answer with the models of a profile.
func listModels(p *profile) *refusal {
	list := modelList{Object: "list", Data: []modelData{}}
	for _, m := range p.models {
		list.Data = append(list.Data, modelData{ID: m, Object: "model", OwnedBy: "attache"})
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return &refusal{status: 200, content: text, details: "attache_models", code: "models", verdict: Answered}
}

// asksForModels tells whether a request is OpenAI's List models.
func (h *head) asksForModels() bool {
	path := h.bare()
	return h.method == "GET" && strings.HasSuffix(path, "/v1/models")
}
