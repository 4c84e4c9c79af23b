// SPDX-License-Identifier: GPL-3.0-or-later

// vcenter: govmomi's vCenter simulator with a seeded inventory, guests that
// boot, clones that queue, and faults on demand. See ../NOTES.md.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
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

// flags of the command line that are not settings.
type flags struct {
	listen, control, user, reader, password, caFile, api string
	sessionTimeout                                       time.Duration
	seed                                                 seedSpec
}

func (l *lab) parse() flags {
	var f flags
	s := &l.set
	s.DuplicateUUID, s.TaskMS = "change", map[string]int{}
	flag.StringVar(&f.listen, "listen", "127.0.0.1:18500", "vCenter address")
	flag.StringVar(&f.control, "control", "127.0.0.1:18501", "control address (HTTP)")
	flag.StringVar(&f.user, "user", "fleet@vsphere.local", "account that may do all")
	flag.StringVar(&f.reader, "reader", "reader@vsphere.local", "account that may only read")
	flag.StringVar(&f.password, "pass", "labsecret", "password of both accounts")
	flag.StringVar(&f.caFile, "ca-file", "", "write the certificate there")
	flag.StringVar(&f.api, "api-version", "8.0.3.0", "API version to offer")
	flag.DurationVar(&f.sessionTimeout, "session-timeout", 0, "idle sessions end after this time")
	flag.IntVar(&f.seed.dcs, "dc", 1, "datacenters")
	flag.IntVar(&f.seed.clusters, "clusters", 3, "clusters (failure domains) per datacenter")
	flag.IntVar(&f.seed.hosts, "hosts", 2, "hosts per cluster")
	flag.IntVar(&f.seed.datastores, "datastores", 1, "datastores per cluster, besides ds-shared")
	flag.IntVar(&f.seed.vms, "vms", 0, "other VMs to fill the inventory")
	flag.StringVar(&l.guest.net, "guest-net", "10.50.0.0/16", "guests without a static address get theirs here")
	flag.Func("task-ms", "METHOD:ms,... e.g. CloneVM_Task:2000,*:20", s.parseTaskMS)
	flag.IntVar(&s.BootMS, "boot-ms", 200, "power on to guest IP")
	flag.IntVar(&s.LatencyMS, "latency-ms", 0, "added to each call")
	flag.Float64Var(&s.Jitter, "jitter", 0, "spread of latency and task times")
	flag.IntVar(&s.SlotsHost, "slots-host", 8, "clones at once per host, 0: no limit")
	flag.IntVar(&s.SlotsDS, "slots-datastore", 0, "clones at once per datastore, 0: no limit")
	flag.IntVar(&s.SlotsAll, "slots-all", 0, "clones at once in all, 0: no limit")
	flag.Float64Var(&s.TaskSeconds, "task-seconds", 600, "a task that has ended is forgotten after that time")
	flag.Parse()
	return f
}

func (s *settings) parseTaskMS(text string) error {
	for _, pair := range strings.Split(text, ",") {
		var n int
		method, ms, _ := strings.Cut(pair, ":")
		if _, err := fmt.Sscan(ms, &n); err != nil {
			return fmt.Errorf("%q is not METHOD:ms", pair)
		}
		s.TaskMS[method] = n
	}
	return nil
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	l := &lab{users: map[string]string{}, seeded: map[ref]bool{}}
	f := l.parse()
	l.users[f.user], l.users[f.reader] = f.password, f.password
	l.traffic.init()
	l.guest.init()
	l.tasks.init()
	l.grants.init(f.reader)
	l.space.init()
	l.makeModel(f)
	defer l.model.Remove()

	began, wanted := time.Now(), l.set
	l.set = settings{TaskSeconds: 1} // the seed neither waits nor boots
	if err := l.seed(context.Background(), f.seed); err != nil {
		log.Fatal("seed: ", err)
	}
	log.Printf("seeded in %.1f s", time.Since(began).Seconds())
	l.set, l.defaults = wanted, wanted

	s := l.model.Service
	s.Listen = &url.URL{Host: f.listen, User: url.UserPassword(f.user, f.password)}
	s.RegisterEndpoints = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(f.caFile)}}
	l.server = s.NewServer()
	l.attach()

	mux := http.NewServeMux()
	l.routes(mux)
	go func() { log.Fatal(http.ListenAndServe(f.control, mux)) }()
	log.Printf("READY %s control http://%s", l.server.URL.Redacted(), f.control)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

// makeModel makes an empty vCenter, with the lab's parts in the place of the simulator's.
func (l *lab) makeModel(f flags) {
	m := simulator.VPX()
	m.ServiceContent = vpx.ServiceContent
	about := &m.ServiceContent.About
	about.ApiVersion, about.Version = f.api, strings.Join(strings.Split(f.api, ".")[:3], ".")
	about.FullName = "VMware vCenter Server " + about.Version + " (lab)"
	m.Datacenter, m.Portgroup, m.Host, m.Cluster, m.Datastore, m.Machine = 0, 0, 0, 0, 0, 0
	if err := m.Create(); err != nil {
		log.Fatal(err)
	}
	l.model, l.reg = m, m.Map()
	if f.sessionTimeout > 0 {
		o := l.reg.OptionManager()
		o.Setting = append(o.Setting, &types.OptionValue{Key: "config.vmacore.soap.sessionTimeout", Value: f.sessionTimeout.String()})
	}
	l.reg.SessionManager().ValidLogin = func(r *types.Login) bool {
		want, ok := l.users[r.UserName]
		return ok && want == r.Password
	}
	l.reg.Handler = l.beforeCall
	l.reg.AddHandler(&hook{l})
	told := m.ServiceContent.AuthorizationManager
	l.reg.Put(&authorization{AuthorizationManager: l.reg.Get(*told).(*simulator.AuthorizationManager), lab: l})
	withholding = l
	pc := &collector{}
	pc.Self = m.ServiceContent.PropertyCollector
	l.reg.Put(pc)
}
