// Starts a fleeting plugin and calls it as GitLab Runner does: with GitLab's own library.
//
// Reads commands from standard input, one JSON object a line, and runs them at the same time. Writes one JSON object
// a line: an answer carries the command's id and its duration, every other object is an event. The end of standard
// input stops the plugin and the host.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"gitlab.com/gitlab-org/fleeting/fleeting"
	"gitlab.com/gitlab-org/fleeting/fleeting/connector"
	"gitlab.com/gitlab-org/fleeting/fleeting/provider"
	"golang.org/x/crypto/ssh"
)

// The defaults of fleeting.Init, which a command "init" does not pass through.
const (
	keepalive = 30 * time.Second
	timeout   = 10 * time.Minute
)

type command struct {
	ID int    `json:"id"`
	Do string `json:"do"`

	// increase, request
	N int `json:"n"`
	// decrease, delete
	Instances []string `json:"instances"`
	// connectinfo, run, docker
	Instance string `json:"instance"`
	// run, docker: connect to the external address
	External bool `json:"external"`
	// run
	Command string  `json:"command"`
	Stdin   *string `json:"stdin"`
	// docker
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body"`
	// provision; milliseconds; the library's defaults where zero
	MaxSize          int `json:"max_size"`
	UpdateInterval   int `json:"update_interval"`
	ExpectInterval   int `json:"expect_interval"`
	DeletionRetry    int `json:"deletion_retry"`
	ShutdownInterval int `json:"shutdown_interval"`
	// await: the numbers that the capacity must have
	Capacity map[string]int `json:"capacity"`
	// init, provision
	Settings provider.ConnectorConfig `json:"settings"`
}

type state struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Cause string `json:"cause,omitempty"`
}

type host struct {
	log    hclog.Logger
	runner *fleeting.Runner
	group  provider.InstanceGroup

	mu          sync.Mutex
	updated     *sync.Cond // a reconciliation of the provisioner has ended
	provisioner *fleeting.Provisioner
}

// lines writes whole lines, from several goroutines.
type lines struct{ mu sync.Mutex }

var out lines

func (l *lines) emit(object any) {
	line, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

// logs turns each line of hclog's JSON format into an event.
type logs struct{}

func (logs) Write(line []byte) (int, error) {
	out.emit(map[string]json.RawMessage{"log": bytes.TrimSpace(line)})
	return len(line), nil
}

func milliseconds(since time.Time) float64 {
	return float64(time.Since(since).Microseconds()) / 1000
}

func main() {
	plugin := flag.String("plugin", "", "the plugin's executable")
	config := flag.String("config", "{}", "plugin_config, as JSON")
	flag.Parse()

	h := &host{log: hclog.New(&hclog.LoggerOptions{
		Name: "fleeting-plugin", Level: hclog.Trace, JSONFormat: true, Output: logs{},
	})}
	h.updated = sync.NewCond(&h.mu)

	begun := time.Now()
	runner, err := fleeting.RunPlugin(*plugin, []byte(*config), fleeting.WithPluginLogger(h.log))
	if err != nil {
		out.emit(map[string]any{"started": false, "ms": milliseconds(begun), "error": err.Error()})
		os.Exit(1)
	}
	h.runner, h.group = runner, runner.InstanceGroup()
	out.emit(map[string]any{"started": true, "ms": milliseconds(begun)})

	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			break
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			panic(err)
		}
		go func() {
			begun := time.Now()
			answer, err := h.run(context.Background(), c)
			object := map[string]any{"id": c.ID, "ms": milliseconds(begun), "answer": answer}
			if err != nil {
				object["error"] = err.Error()
			}
			out.emit(object)
		}()
	}
	runner.Kill()
}

func (h *host) run(ctx context.Context, c command) (any, error) {
	switch c.Do {
	case "init":
		settings := provider.Settings{ConnectorConfig: c.Settings}
		settings.Keepalive, settings.Timeout = keepalive, timeout
		return h.group.Init(ctx, h.log, settings)
	case "update":
		states := []state{}
		err := h.group.Update(ctx, func(id string, s provider.State) {
			states = append(states, state{ID: id, State: string(s)})
		})
		return states, err
	case "increase":
		return h.group.Increase(ctx, c.N)
	case "decrease":
		return h.group.Decrease(ctx, c.Instances)
	case "connectinfo":
		info, err := h.group.ConnectInfo(ctx, c.Instance)
		return info, err
	case "run":
		return h.exec(ctx, c)
	case "docker":
		return h.docker(ctx, c)
	case "shutdown":
		return nil, h.group.Shutdown(ctx)
	case "kill":
		h.runner.Kill()
		return nil, nil
	case "provision":
		return nil, h.provision(ctx, c)
	}

	h.mu.Lock()
	p := h.provisioner
	h.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%s: unknown, or before provision", c.Do)
	}
	switch c.Do {
	case "request":
		p.Request(c.N)
		return nil, nil
	case "instances":
		states := []state{}
		for _, i := range p.Instances() {
			states = append(states, state{ID: i.ID(), State: string(i.State()), Cause: string(i.Cause())})
		}
		return states, nil
	case "delete":
		for _, i := range p.Instances() {
			for _, id := range c.Instances {
				if i.ID() == id {
					i.Delete()
				}
			}
		}
		return nil, nil
	case "capacity":
		return capacity(p), nil
	case "await":
		return h.await(p, c.Capacity), nil
	case "stop":
		p.Shutdown(ctx)
		return nil, nil
	}
	return nil, fmt.Errorf("%s: unknown", c.Do)
}

// exec runs a command as an executor does: with the address and key of ConnectInfo, through the library's connector.
func (h *host) exec(ctx context.Context, c command) (any, error) {
	info, err := h.group.ConnectInfo(ctx, c.Instance)
	if err != nil {
		return nil, err
	}
	var stdin io.Reader
	if c.Stdin != nil {
		stdin = strings.NewReader(*c.Stdin)
	}
	var stdout, stderr bytes.Buffer
	err = connector.Run(ctx, info, connector.ConnectorOptions{
		RunOptions:  connector.RunOptions{Command: c.Command, Stdin: stdin, Stdout: &stdout, Stderr: &stderr},
		DialOptions: connector.DialOptions{UseExternalAddr: c.External},
	})
	code := 0
	// The connector's own ExitError says 0 for every error of SSH itself.
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitStatus(), nil
	}
	return map[string]any{"code": code, "stdout": stdout.String(), "stderr": stderr.String()}, err
}

// docker sends one request to the Docker API as the docker-autoscaler executor does: to the Unix socket, through SSH.
func (h *host) docker(ctx context.Context, c command) (any, error) {
	info, err := h.group.ConnectInfo(ctx, c.Instance)
	if err != nil {
		return nil, err
	}
	client, err := connector.Dial(ctx, info, connector.DialOptions{UseExternalAddr: c.External})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return client.Dial("unix", "/var/run/docker.sock")
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, c.Method, "http://docker"+c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	if c.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return map[string]any{"status": response.StatusCode, "body": string(body)}, err
}

// provision starts the library's own loop, which calls Init, Update, Increase and Decrease from now on.
func (h *host) provision(ctx context.Context, c command) error {
	options := []fleeting.Option{
		fleeting.WithMaxSize(c.MaxSize),
		fleeting.WithInstanceGroupSettings(provider.Settings{ConnectorConfig: c.Settings}),
		fleeting.WithSubscriber(func([]fleeting.Instance) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.updated.Broadcast()
		}),
	}
	for _, interval := range []struct {
		milliseconds int
		option       func(time.Duration) fleeting.Option
	}{
		{c.UpdateInterval, fleeting.WithUpdateInterval},
		{c.ExpectInterval, fleeting.WithUpdateIntervalWhenExpecting},
		{c.DeletionRetry, fleeting.WithDeletionRetryInterval},
		{c.ShutdownInterval, fleeting.WithShutdownDeletionInterval},
	} {
		if interval.milliseconds > 0 {
			options = append(options, interval.option(time.Duration(interval.milliseconds)*time.Millisecond))
		}
	}
	provisioner, err := fleeting.Init(ctx, h.log, h.group, options...)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.provisioner = provisioner
	return nil
}

func capacity(p *fleeting.Provisioner) map[string]int {
	c := p.Capacity()
	return map[string]int{
		"creating": c.Creating, "running": c.Running, "deleting": c.Deleting,
		"requested": c.Requested, "pending": c.Pending, "max": c.Max,
	}
}

// await returns the capacity at the end of the first reconciliation after which it is as wanted.
func (h *host) await(p *fleeting.Provisioner, wanted map[string]int) map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		now := capacity(p)
		met := true
		for name, number := range wanted {
			met = met && now[name] == number
		}
		if met {
			return now
		}
		h.updated.Wait()
	}
}
