// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"net/netip"
	"sync"
)

// guestState is what runs inside the VMs, and who has which address. mu guards all of it.
type guestState struct {
	net       string
	mu        sync.Mutex
	next      netip.Addr
	leases    map[ref]string // kept over power cycles
	stop      map[ref]context.CancelFunc
	held      map[string]ref // address -> the VM that runs with it
	conflicts []conflict
}

// conflict: an address that a guest took while another one had it.
type conflict struct {
	Address string   `json:"address"`
	VMs     []string `json:"vms"`
	refs    []ref
}

func (g *guestState) init() {
	g.leases, g.stop, g.held = map[ref]string{}, map[ref]context.CancelFunc{}, map[string]ref{}
	g.next = netip.MustParsePrefix(g.net).Masked().Addr()
	for i := 0; i < 10; i++ {
		g.next = g.next.Next()
	}
}

// begin ends what the guest did until now and lets its address go.
func (g *guestState) begin(id ref) context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.halt(id)
	ctx, cancel := context.WithCancel(context.Background())
	g.stop[id] = cancel
	return ctx
}

// halt is called with mu held.
func (g *guestState) halt(id ref) {
	if f := g.stop[id]; f != nil {
		f()
		delete(g.stop, id)
	}
	for ip, holder := range g.held {
		if holder == id {
			delete(g.held, ip)
		}
	}
}

func (g *guestState) forget(id ref) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.halt(id)
	delete(g.leases, id)
}

// lease is the next free address of the guests' network.
func (g *guestState) lease(id ref) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leases[id] == "" {
		g.leases[id] = g.next.String()
		g.next = g.next.Next()
	}
	return g.leases[id]
}

// fix gives the guest that address as its lease.
func (g *guestState) fix(id ref, ip string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leases[id] = ip
}

// hold notes that the guest uses the address from now on.
func (g *guestState) hold(ip string, id ref, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if other, ok := g.held[ip]; ok && other != id {
		g.conflicts = append(g.conflicts, conflict{ip, []string{name}, []ref{other, id}})
	}
	g.held[ip] = id
}

// doubled are the conflicts since the last reset, with names.
func (l *lab) doubled() []conflict {
	l.guest.mu.Lock()
	found := append([]conflict{}, l.guest.conflicts...)
	l.guest.mu.Unlock()
	for i := range found {
		names := []string{}
		for _, r := range found[i].refs {
			if name := l.name(&r); name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			found[i].VMs = names
		}
	}
	return found
}
