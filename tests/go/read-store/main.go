// Reads a store by the rules of the Go docker-machine, and prints what it understood, one JSON object.
//
// The types are those that its config.json is decoded into: a field of ours that does not fit one of them
// would end every command of the Go binary. Certificates are read as its TLS client reads them.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type engineOptions struct {
	ArbitraryFlags   []string
	DNS              []string `json:"Dns"`
	GraphDir         string
	Env              []string
	Ipv6             bool
	InsecureRegistry []string
	Labels           []string
	LogLevel         string
	StorageDriver    string
	SelinuxEnabled   bool
	TLSVerify        bool `json:"TlsVerify"`
	RegistryMirror   []string
	InstallURL       string
}

type swarmOptions struct {
	IsSwarm            bool
	Address            string
	Discovery          string
	Agent              bool
	Master             bool
	Host               string
	Image              string
	Strategy           string
	Heartbeat          int
	Overcommit         float64
	ArbitraryFlags     []string
	ArbitraryJoinFlags []string
	Env                []string
	IsExperimental     bool
}

type authOptions struct {
	CertDir              string
	CaCertPath           string
	CaPrivateKeyPath     string
	CaCertRemotePath     string
	ServerCertPath       string
	ServerKeyPath        string
	ClientKeyPath        string
	ServerCertRemotePath string
	ServerKeyRemotePath  string
	ClientCertPath       string
	ServerCertSANs       []string
	StorePath            string
}

type baseDriver struct {
	IPAddress      string
	MachineName    string
	SSHUser        string
	SSHPort        int
	SSHKeyPath     string
	StorePath      string
	SwarmMaster    bool
	SwarmHost      string
	SwarmDiscovery string
}

type amazonec2 struct {
	baseDriver
	Id, AccessKey, SecretKey, SessionToken, Region, AMI string
	SSHKeyID                                            int
	ExistingKey                                         bool
	KeyName, InstanceId, InstanceType, PrivateIPAddress string
	SecurityGroupId                                     string
	SecurityGroupIds                                    []string
	SecurityGroupName                                   string
	SecurityGroupNames                                  []string
	SecurityGroupReadOnly                               bool
	OpenPorts                                           []string
	Tags, ReservationId, DeviceName                     string
	RootSize                                            int64
	VolumeType, IamInstanceProfile, VpcId, SubnetId     string
	Zone                                                string
	RequestSpotInstance                                 bool
	SpotPrice                                           string
	BlockDurationMinutes                                int64
	PrivateIPOnly, UsePrivateIP                         bool
	UseEbsOptimizedInstance, Monitoring                 bool
	SSHPrivateKeyPath                                   string
	RetryCount                                          int
	Endpoint                                            string
	DisableSSL                                          bool
	UserDataFile                                        string
}

type machine struct {
	ConfigVersion int
	Driver        json.RawMessage
	DriverName    string
	HostOptions   *struct {
		Driver        string
		Memory, Disk  int
		EngineOptions *engineOptions
		SwarmOptions  *swarmOptions
		AuthOptions   *authOptions
	}
	Name string
}

type understood struct {
	Name, DriverName, Address, User, InstanceId, KeyName, StorePath, InstallURL string
	Port                                                                        int
}

func main() {
	all, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(all)
}

func read(store string) ([]understood, error) {
	entries, err := os.ReadDir(filepath.Join(store, "machines"))
	if err != nil {
		return nil, err
	}
	all := []understood{}
	for _, entry := range entries {
		// Everything else that is a directory is a machine to it, and to GitLab Runner.
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		one, err := readMachine(filepath.Join(store, "machines", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		if one.Name != entry.Name() {
			return nil, fmt.Errorf("%s calls itself %q", entry.Name(), one.Name)
		}
		all = append(all, *one)
	}
	return all, nil
}

func readMachine(directory string) (*understood, error) {
	text, err := os.ReadFile(filepath.Join(directory, "config.json"))
	if err != nil {
		return nil, err
	}
	var m machine
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	if m.ConfigVersion != 3 {
		return nil, fmt.Errorf("ConfigVersion is %d", m.ConfigVersion)
	}
	if m.HostOptions == nil || m.HostOptions.AuthOptions == nil ||
		m.HostOptions.EngineOptions == nil || m.HostOptions.SwarmOptions == nil {
		return nil, fmt.Errorf("options that it reads without looking are missing")
	}
	var driver amazonec2
	if err := json.Unmarshal(m.Driver, &driver); err != nil {
		return nil, err
	}
	if err := checkCertificates(m.HostOptions.AuthOptions, directory, driver.IPAddress); err != nil {
		return nil, err
	}
	if err := checkKey(driver.SSHKeyPath); err != nil {
		return nil, err
	}
	return &understood{
		Name: m.Name, DriverName: m.DriverName, Address: driver.IPAddress, User: driver.SSHUser,
		InstanceId: driver.InstanceId, KeyName: driver.KeyName,
		StorePath: m.HostOptions.AuthOptions.StorePath, Port: driver.SSHPort,
		InstallURL: m.HostOptions.EngineOptions.InstallURL,
	}, nil
}

// The shared files and the machine's own copies, which GitLab Runner reads.
func checkCertificates(auth *authOptions, directory, address string) error {
	if _, err := tls.LoadX509KeyPair(auth.CaCertPath, auth.CaPrivateKeyPath); err != nil {
		return fmt.Errorf("the CA that it would sign with: %w", err)
	}
	in := func(name string) string { return filepath.Join(directory, name) }
	for _, pair := range [][2]string{
		{auth.ClientCertPath, auth.ClientKeyPath}, {in("cert.pem"), in("key.pem")},
		{in("server.pem"), in("server-key.pem")},
	} {
		if _, err := tls.LoadX509KeyPair(pair[0], pair[1]); err != nil {
			return err
		}
	}
	ca, err := os.ReadFile(in("ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("no certificate in ca.pem")
	}
	for name, usage := range map[string]x509.ExtKeyUsage{
		"cert.pem": x509.ExtKeyUsageClientAuth, "server.pem": x509.ExtKeyUsageServerAuth,
	} {
		text, err := os.ReadFile(in(name))
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: time.Now()}
		if name == "server.pem" {
			options.DNSName = address
		}
		if _, err := certificate.Verify(options); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// It hands the key to ssh, which wants PEM and nobody else to read it.
func checkKey(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(text); block == nil {
		return fmt.Errorf("%s is no PEM", path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() != 0o600 {
		err = fmt.Errorf("%s has mode %o", path, info.Mode().Perm())
	}
	return err
}
