// SPDX-License-Identifier: GPL-3.0-or-later

// vsphere-lab: govmomi's vCenter simulator with a seeded inventory, guests
// that boot, clones that queue, and faults on demand. See NOTES.md.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25/types"

	_ "github.com/vmware/govmomi/lookup/simulator"
	_ "github.com/vmware/govmomi/pbm/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	_ "github.com/vmware/govmomi/vslm/simulator"
)

// settings are what POST /config changes while the lab runs.
type settings struct {
	LatencyMS     int            `json:"latency_ms"`      // before every SOAP and REST call
	Jitter        float64        `json:"jitter"`          // 0.5: latency and task times +-50%
	TaskMS        map[string]int `json:"task_ms"`         // by SOAP method, "CloneVM_Task.linked", "*"
	SlotsHost     int            `json:"slots_host"`      // clones at once per destination host, 0: no limit
	SlotsDS       int            `json:"slots_datastore"` // the same per destination datastore
	SlotsAll      int            `json:"slots_all"`       // the same for the whole vCenter
	BootMS        int            `json:"boot_ms"`         // power on -> guest IP
	DuplicateUUID string         `json:"duplicate_uuid"`  // change (as vCenter), allow, fault
}

type lab struct {
	mu       sync.Mutex
	set      settings
	defaults settings
	model    *simulator.Model
	reg      *simulator.Registry
	server   *simulator.Server
	users    map[string]string // user -> password
	seedVMs  map[types.ManagedObjectReference]bool

	http  httpState
	tasks taskState
	guest guestState
}

func (l *lab) config() settings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	l := &lab{users: map[string]string{}, seedVMs: map[types.ManagedObjectReference]bool{}}
	var (
		listen   = flag.String("listen", "127.0.0.1:18500", "vCenter address")
		control  = flag.String("control", "127.0.0.1:18501", "control address (HTTP)")
		user     = flag.String("user", "fleet@vsphere.local", "account that may do all")
		pass     = flag.String("pass", "fleet-pass", "password of both accounts")
		reader   = flag.String("reader", "reader@vsphere.local", "account that may only read")
		useTLS   = flag.Bool("tls", true, "HTTPS with a certificate made at start")
		cafile   = flag.String("ca-file", "", "write the certificate there")
		api      = flag.String("api-version", "8.0.3.0", "API version to offer")
		timeout  = flag.Duration("session-timeout", 0, "idle sessions end after this time")
		taskMS   = flag.String("task-ms", "", "METHOD:ms,... e.g. CloneVM_Task:2000,*:20")
		bootMS   = flag.Int("boot-ms", 200, "power on to guest IP")
		latency  = flag.Int("latency-ms", 0, "added to each call")
		jitter   = flag.Float64("jitter", 0, "spread of latency and task times")
		slots    = flag.Int("slots-host", 8, "clones at once per host, 0: no limit")
		slotsDS  = flag.Int("slots-datastore", 0, "clones at once per datastore, 0: no limit")
		slotsAll = flag.Int("slots-all", 0, "clones at once in all, 0: no limit")
		seed     seedSpec
	)
	flag.IntVar(&seed.dcs, "dc", 1, "datacenters")
	flag.IntVar(&seed.clusters, "clusters", 3, "clusters (failure domains) per datacenter")
	flag.IntVar(&seed.hosts, "hosts", 2, "hosts per cluster")
	flag.IntVar(&seed.datastores, "datastores", 1, "datastores per cluster, besides ds-shared")
	flag.IntVar(&seed.vms, "vms", 0, "other VMs to fill the inventory")
	flag.StringVar(&l.guest.net, "guest-net", "10.50.0.0/16", "guests get their addresses here")
	flag.Parse()

	l.users[*user], l.users[*reader] = *pass, *pass
	l.http.init(*reader)
	l.guest.init()
	l.set = settings{LatencyMS: *latency, Jitter: *jitter, TaskMS: map[string]int{},
		SlotsHost: *slots, SlotsDS: *slotsDS, SlotsAll: *slotsAll, DuplicateUUID: "change"}

	m := simulator.VPX()
	m.ServiceContent = vpx.ServiceContent
	about := &m.ServiceContent.About
	about.ApiVersion, about.Version = *api, strings.Join(strings.Split(*api, ".")[:3], ".")
	about.FullName = "VMware vCenter Server " + about.Version + " (vsphere-lab)"
	m.Datacenter, m.Portgroup, m.Host, m.Cluster, m.Datastore, m.Machine = 0, 0, 0, 0, 0, 0
	if err := m.Create(); err != nil {
		log.Fatal(err)
	}
	l.model, l.reg = m, m.Map()
	defer m.Remove()
	if *timeout > 0 {
		o := l.reg.OptionManager()
		o.Setting = append(o.Setting, &types.OptionValue{Key: "config.vmacore.soap.sessionTimeout", Value: timeout.String()})
	}
	l.reg.SessionManager().ValidLogin = func(r *types.Login) bool {
		want, ok := l.users[r.UserName]
		return ok && want == r.Password
	}
	l.reg.Handler = l.beforeCall
	l.reg.AddHandler(&hook{l})
	pc := &collector{}
	pc.Self = m.ServiceContent.PropertyCollector
	l.reg.Put(pc)

	t0 := time.Now()
	l.set.BootMS = 0
	if err := l.seed(context.Background(), seed); err != nil {
		log.Fatal("seed: ", err)
	}
	log.Printf("seeded in %.1f s", time.Since(t0).Seconds())
	l.set.BootMS = *bootMS
	for _, kv := range strings.Split(*taskMS, ",") {
		if k, v, ok := strings.Cut(kv, ":"); ok {
			var n int
			if err := json.Unmarshal([]byte(v), &n); err != nil {
				log.Fatal("-task-ms: ", err)
			}
			l.set.TaskMS[k] = n
		}
	}
	l.defaults = l.set

	s := m.Service
	s.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *pass)}
	s.RegisterEndpoints = true
	if *useTLS {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(*cafile)}}
	}
	l.server = s.NewServer()
	l.http.attach(l)

	mux := http.NewServeMux()
	l.control(mux)
	go func() { log.Fatal(http.ListenAndServe(*control, mux)) }()
	log.Printf("READY %s control http://%s", l.server.URL.Redacted(), *control)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

// certificate makes a self-signed one for the loopback names.
func certificate(file string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "vsphere-lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	if file != "" {
		b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(file, b, 0o644); err != nil {
			log.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
