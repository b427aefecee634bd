package spillway

// The operations are what a caller may be allowed to do. Their names are those of
// Request.Route behind the path family.
const (
	// OperationResponses includes reading, canceling and deleting a stored
	// response by its id, and counting input tokens.
	OperationResponses = "responses"
	// OperationModels is reading the list of models and single models.
	OperationModels = "models"
	// OperationOther is every path that none of the other names covers.
	OperationOther = "other"
	// OperationAll in a list of allowed operations stands for every operation.
	OperationAll = "*"
)

// Operations returns the names of all operations, without OperationAll.
func Operations() []string {
	return []string{
		"chat", "completions", "embeddings", OperationResponses, OperationModels,
		"assistants", "audio", "batches", "chat/stored", "containers", "conversations", "evals", "files", "fine_tuning",
		"images", "moderations", "realtime", "responses/compact", "threads", "uploads", "vector_stores", "videos",
		OperationOther,
	}
}

// DefaultOperations returns the operations that a caller may use unless its
// configuration says otherwise: those with token logic, and reading models.
func DefaultOperations() []string {
	return []string{"chat", "completions", "embeddings", OperationResponses, OperationModels}
}
