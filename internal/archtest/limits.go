package archtest

// The limits, in lines and counts.
const (
	maxFileLines        = 500
	maxMainLines        = 30
	maxFuncLines        = 70 // tests excepted: a table is long and plain
	maxParameters       = 5  // receiver not counted
	maxInterfaceMethods = 5
)

// exception permits one break of one rule.
type exception struct {
	rule   string
	path   string // the file
	name   string // what the finding names; "" takes every finding of the file
	reason string
}

// exceptions is short, and each entry says why. An entry that covers nothing
// fails the test.
var exceptions = []exception{}

// pureForbidden lists the imports that a pure room must not have; an entry
// that ends in "/" covers everything below it.
var pureForbidden = []string{
	"C", "context", "crypto/rand", "log", "log/", "net", "net/http", "net/http/",
	"os", "os/", "plugin", "runtime", "runtime/", "sync", "sync/", "syscall", "testing", "testing/", "unsafe",
}

// clockNames are the names of package time that read or wait for the wall
// clock.
var clockNames = []string{
	"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Sleep", "Tick",
}

// pureForbiddenNames are names that do I/O or read the machine's state from
// packages that are otherwise pure.
var pureForbiddenNames = map[string][]string{
	"time": {"Local", "LoadLocation"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// seededRandom are the names of math/rand and math/rand/v2 that do not touch
// the global source.
var seededRandom = []string{
	"New", "NewChaCha8", "NewPCG", "NewSource", "NewZipf", "ChaCha8", "PCG", "Rand", "Source", "Source64", "Zipf",
}

// vagueNames say nothing about what a package provides.
var vagueNames = []string{"base", "common", "core", "helper", "helpers", "misc", "shared", "types", "util", "utils"}

// leftOverWords mark unfinished work. They are spelled in halves so that this
// file does not hold them.
var leftOverWords = []string{"TO" + "DO", "FIX" + "ME"}

// constructors are the calls of imported functions whose result never changes
// after the call, so that an unexported variable may hold it.
var constructors = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "time.Date",
	"net/netip.MustParseAddr", "net/netip.MustParsePrefix", "math.Inf", "math.Log", "math.Sqrt",
	"reflect.TypeFor", "reflect.TypeOf",
}
