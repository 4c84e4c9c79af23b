// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func (l *lab) sessionManager() *simulator.SessionManager {
	ctx := l.model.Service.Context
	return ctx.Session.Get(*l.model.ServiceContent.SessionManager).(*simulator.SessionManager)
}

// getSessions lists them without the simulator's own.
func (l *lab) getSessions(*http.Request) (any, error) {
	out := []types.UserSession{}
	for _, s := range l.sessionManager().SessionList {
		if s.Key != l.model.Service.Context.Session.Key {
			out = append(out, s)
		}
	}
	return out, nil
}

func (l *lab) postTerminate(*http.Request) (any, error) {
	return map[string]int{"ended": l.endSessions()}, nil
}

// endSessions ends all SOAP and REST sessions.
func (l *lab) endSessions() int {
	var ids []string
	for _, s := range l.sessionManager().SessionList {
		if s.Key != l.model.Service.Context.Session.Key {
			ids = append(ids, s.Key)
		}
	}
	l.reg.SessionManager().TerminateSession(l.model.Service.Context, &types.TerminateSession{SessionId: ids})
	l.traffic.mu.Lock()
	l.traffic.epoch++
	l.traffic.mu.Unlock()
	return len(ids)
}

// postOutage takes the vCenter away for some time. keep_sessions: only the way to it is
// cut. forget_tasks: no task of before is known. lose_work: what is under way is not
// done (otherwise the hosts finish what they had begun).
func (l *lab) postOutage(r *http.Request) (any, error) {
	o := struct {
		Seconds      float64 `json:"seconds"`
		Mode         string  `json:"mode"` // reset, 503
		KeepSessions bool    `json:"keep_sessions"`
		ForgetTasks  bool    `json:"forget_tasks"`
		LoseWork     bool    `json:"lose_work"`
	}{Mode: "reset"}
	if err := read(r, &o); err != nil {
		return nil, err
	}
	if o.Mode != "reset" && o.Mode != "503" {
		return nil, fmt.Errorf("mode: reset or 503, not %q", o.Mode)
	}
	t := &l.traffic
	t.mu.Lock()
	t.downTill, t.downHow = time.Now().Add(time.Duration(o.Seconds*float64(time.Second))), o.Mode
	t.mu.Unlock()
	if o.LoseWork {
		l.tasks.cancel.Range(func(task, _ any) bool { l.tasks.stop(task.(ref)); return true })
	}
	if o.ForgetTasks {
		ctx := l.context(context.Background())
		for _, e := range l.reg.AllReference("Task") {
			ctx.Map.Remove(ctx, e.Reference())
		}
	}
	if !o.KeepSessions {
		l.endSessions()
	}
	if o.Mode == "reset" {
		go l.server.CloseClientConnections()
	}
	return nil, nil
}

func (l *lab) setHost(r ref, maintenance, connected bool) {
	host, ok := l.reg.Get(r).(*simulator.HostSystem)
	if !ok {
		return
	}
	state := types.HostSystemConnectionStateConnected
	if !connected {
		state = types.HostSystemConnectionStateDisconnected
	}
	l.reg.AtomicUpdate(l.context(context.Background()), host, []types.PropertyChange{
		{Name: "runtime.inMaintenanceMode", Val: maintenance}, {Name: "summary.runtime.inMaintenanceMode", Val: maintenance},
		{Name: "runtime.connectionState", Val: state}, {Name: "summary.runtime.connectionState", Val: state}})
}

// leaveRules takes a VM that is gone out of its cluster's rules and groups, as
// vCenter does; a rule without VMs stays.
func (l *lab) leaveRules(vm ref) {
	for _, e := range l.reg.All("ClusterComputeResource") {
		cluster, ok := e.(*simulator.ClusterComputeResource)
		if !ok {
			continue
		}
		l.lock(func(*simulator.Context) {
			config, ok := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
			if !ok {
				return
			}
			gone := func(r ref) bool { return r == vm }
			for _, rule := range config.Rule {
				switch rule := rule.(type) {
				case *types.ClusterAntiAffinityRuleSpec:
					rule.Vm = slices.DeleteFunc(slices.Clone(rule.Vm), gone)
				case *types.ClusterAffinityRuleSpec:
					rule.Vm = slices.DeleteFunc(slices.Clone(rule.Vm), gone)
				}
			}
			for _, group := range config.Group {
				if group, ok := group.(*types.ClusterVmGroup); ok {
					group.Vm = slices.DeleteFunc(slices.Clone(group.Vm), gone)
				}
			}
		}, cluster.Self)
	}
}

// leavePools takes a VM that is gone out of all pools: the simulator forgets a
// template's pool but not the pool's template, and every view would name it.
func (l *lab) leavePools(vm ref) {
	for _, e := range l.reg.All("ResourcePool") {
		if pool, ok := e.(*simulator.ResourcePool); ok && slices.Contains(pool.Vm, vm) {
			l.reg.RemoveReference(l.context(context.Background()), pool, &pool.Vm, vm)
		}
	}
}

// postReset brings the vCenter back to what it was after its start: settings, rules,
// denials, counts, hosts, datastores, DRS rules, the seed's templates, no other VM.
// Sessions, folders, custom attributes, tags and libraries stay.
func (l *lab) postReset(*http.Request) (any, error) {
	t := &l.traffic
	t.mu.Lock()
	t.rules, t.downTill = nil, time.Time{}
	t.clear()
	t.mu.Unlock()
	l.mu.Lock()
	l.set = l.defaults
	l.mu.Unlock()
	l.grants.set(nil)
	l.tasks.cancel.Range(func(task, _ any) bool { l.tasks.stop(task.(ref)); return true })
	for _, e := range l.reg.All("HostSystem") {
		l.setHost(e.Reference(), false, true)
	}
	n := l.destroyAll()
	for _, e := range l.reg.All("ClusterComputeResource") {
		if cluster, ok := e.(*simulator.ClusterComputeResource); ok {
			l.lock(func(*simulator.Context) {
				if config, ok := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx); ok {
					config.Rule, config.Group = nil, nil
				}
			}, cluster.Self)
		}
	}
	l.space.reset(l)
	for _, again := range l.restore {
		if err := again(context.Background()); err != nil {
			return nil, err
		}
	}
	l.guest.mu.Lock()
	l.guest.conflicts = nil
	l.guest.mu.Unlock()
	return map[string]int{"destroyed": n}, nil
}
