package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spillway-ai/spillway/internal/app"
)

type serveCommand struct {
	Config string `short:"c" type:"path" help:"Configuration file, reloaded when it changes."`
	Listen string `help:"Address of the data listener; overrides the configuration." placeholder:"HOST:PORT"`
	Admin  string `help:"Address of health checks and metrics; overrides the configuration." placeholder:"HOST:PORT"`
	Store  string `type:"path" help:"Directory of the record store; overrides the configuration." placeholder:"DIR"`
}

// Run serves until the context ends, and then drains.
func (c *serveCommand) Run(w *world) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	log := slog.New(slog.NewTextHandler(w.stderr, nil))
	redirectLibraryLog(log)
	a, err := app.Start(app.Options{
		Version:    version(),
		ConfigPath: c.Config, Listen: c.Listen, Admin: c.Admin, Store: c.Store, Stdout: w.stdout, Log: log, Reload: hangup,
	})
	if err != nil {
		return w.refuse(err)
	}
	c.greet(w, a)
	return errors.Join(a.Run(w.ctx), a.Close())
}

// greet says where clients and operators go. It goes to stderr: records may
// go to stdout.
func (c *serveCommand) greet(w *world, a *app.App) {
	scheme := "http"
	if a.TLS() {
		scheme = "https"
	}
	fmt.Fprintf(w.stderr, "listening data=%s admin=%s\n", a.DataAddr(), a.AdminAddr())
	if a.FleetURL() == "" {
		return
	}
	fmt.Fprintf(w.stderr, demoText, scheme+"://"+a.DataAddr(), "http://"+a.AdminAddr(), a.FleetURL())
}

// demoText is what the embedded fleet's first user pastes into a shell, as it
// is: everything but commands is a comment. scripts/fresh.sh runs each command.
// %[1]s is the data address, %[2]s the admin address, %[3]s the fleet's.
const demoText = `
# Spillway is serving an embedded demo fleet: gpt-4o-mini on one provisioned deployment and
# two standard deployments in other regions. Nothing leaves this machine.
# Paste these commands into another terminal:

# Send one request
curl -i %[1]s/v1/chat/completions -H 'Authorization: Bearer demo' -H 'Content-Type: application/json' \
  -d '{"model":"gpt-4o-mini","max_tokens":60,"messages":[{"role":"user","content":"Why do timeouts happen?"}]}'

# Send it with the OpenAI SDK, in a virtual environment (Debian package: python3-venv)
python3 -m venv .venv && .venv/bin/pip install openai && .venv/bin/python - <<'EOF'
from openai import AzureOpenAI
client = AzureOpenAI(azure_endpoint="%[1]s", api_key="demo", api_version="2024-10-21")
answer = client.chat.completions.create(model="gpt-4o-mini", max_tokens=60,
    messages=[{"role": "user", "content": "Why do timeouts happen?"}])
print(answer.choices[0].message.content)
EOF

# Request more than fits the deadline: you get a valid partial response (finish_reason "length")
curl -i %[1]s/v1/chat/completions -H 'Authorization: Bearer demo' -H 'Content-Type: application/json' \
  -H 'x-spillway-deadline-ms: 5000' \
  -d '{"model":"gpt-4o-mini","max_tokens":8000,"messages":[{"role":"user","content":"A long report, please. [[tokens=8000]]"}]}'

# Make the provisioned deployment fail: repeat the first request, another region serves it
curl -X PUT %[3]s/admin/faults -d '[{"kind":"reset","deployment":"ptu-eastus"}]'

# Remove the fault
curl -X DELETE %[3]s/admin/faults

# Health, state and metrics: %[2]s/readyz %[2]s/admin/state %[2]s/metrics

`
