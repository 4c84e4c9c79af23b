// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// guestState is the stand-in for what runs inside the VMs.
type guestState struct {
	net  string
	mu   sync.Mutex
	next netip.Addr
	ips  map[ref]string
	stop map[ref]context.CancelFunc
}

func (g *guestState) init() {
	g.ips = map[ref]string{}
	g.stop = map[ref]context.CancelFunc{}
	g.next = netip.MustParsePrefix(g.net).Masked().Addr()
	for i := 0; i < 10; i++ {
		g.next = g.next.Next()
	}
}

func extra(vm *mo.VirtualMachine) map[string]string {
	m := map[string]string{}
	if vm.Config != nil {
		for _, o := range vm.Config.ExtraConfig {
			v := o.GetOptionValue()
			m[v.Key] = fmt.Sprint(v.Value)
		}
	}
	return m
}

// address of a VM: lab.ip, or the next free one; kept over power cycles.
func (g *guestState) address(id ref, ec map[string]string) string {
	if ip := ec["lab.ip"]; ip != "" {
		return ip
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ips[id] == "" {
		g.ips[id] = g.next.String()
		g.next = g.next.Next()
	}
	return g.ips[id]
}

func (g *guestState) halt(id ref) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.stop[id]; f != nil {
		f()
		delete(g.stop, id)
	}
}

// powerChanged runs in the update of runtime.powerState, under the VM's lock.
func (l *lab) powerChanged(vm *mo.VirtualMachine) {
	id := vm.Self
	l.guest.halt(id)
	ctx, cancel := context.WithCancel(context.Background())
	l.guest.mu.Lock()
	l.guest.stop[id] = cancel
	l.guest.mu.Unlock()
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		go l.guestSet(ctx, id, l.guestDown())
		return
	}
	ec, name := extra(vm), vm.Name
	boot := time.Duration(l.config().BootMS) * time.Millisecond
	if s := ec["lab.boot_delay"]; s != "" { // seconds, or 1.5s, 300ms
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			boot = time.Duration(f * float64(time.Second))
		} else if d, err := time.ParseDuration(s); err == nil {
			boot = d
		}
	}
	host := name
	if vm.Guest != nil && vm.Guest.HostName != "" { // by guest customization
		host = vm.Guest.HostName
	}
	if vm.Guest != nil && vm.Guest.IpAddress != "" {
		l.guest.mu.Lock()
		l.guest.ips[id] = vm.Guest.IpAddress
		l.guest.mu.Unlock()
		go l.guestSet(ctx, id, []types.PropertyChange{{Name: "guest.ipAddress", Val: ""}, {Name: "summary.guest.ipAddress", Val: ""}})
	}
	for _, line := range strings.Split(metadata(ec), "\n") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "local-hostname:"); ok {
			host = strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	fail := ec["lab.fail"]
	go func() {
		if fail == "never-boot" {
			return
		}
		sleep(ctx, boot*6/10)
		l.guestSet(ctx, id, []types.PropertyChange{
			{Name: "guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsOk},
			{Name: "guest.toolsRunningStatus", Val: string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)},
			{Name: "guest.toolsVersionStatus2", Val: string(types.VirtualMachineToolsVersionStatusGuestToolsCurrent)},
			{Name: "guest.toolsVersion", Val: "12352"},
			{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateRunning)},
			{Name: "guest.guestOperationsReady", Val: true},
			{Name: "guest.hostName", Val: host},
			{Name: "summary.guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsOk},
			{Name: "summary.guest.toolsRunningStatus", Val: string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)},
			{Name: "summary.guest.hostName", Val: host},
			{Name: "guestHeartbeatStatus", Val: types.ManagedEntityStatusGreen},
			{Name: "summary.quickStats.guestHeartbeatStatus", Val: types.ManagedEntityStatusGreen},
		})
		sleep(ctx, boot-boot*6/10)
		if fail == "poweroff-after" {
			l.powerOff(ctx, id)
			return
		}
		if fail == "no-ip" {
			return
		}
		ip := l.guest.address(id, ec)
		var nics []types.GuestNicInfo
		l.lock(func(*simulator.Context) { nics = l.nicInfo(vm) }, id)
		for i := range nics {
			nics[i].Connected = true
			if i == 0 {
				nics[i].IpAddress = []string{ip}
				nics[i].IpConfig = &types.NetIpConfigInfo{IpAddress: []types.NetIpConfigInfoIpAddress{
					{IpAddress: ip, PrefixLength: 16, State: string(types.NetIpConfigInfoIpAddressStatusPreferred)}}}
			}
		}
		l.guestSet(ctx, id, []types.PropertyChange{
			{Name: "guest.net", Val: nics},
			{Name: "guest.ipAddress", Val: ip},
			{Name: "summary.guest.ipAddress", Val: ip},
		})
	}()
}

// reboot: the tools go away, then the guest boots again.
func (l *lab) reboot(id ref) {
	l.lock(func(ctx *simulator.Context) {
		vm, ok := l.reg.Get(id).(*simulator.VirtualMachine)
		if ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn &&
			vm.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
			l.reg.Update(ctx, vm, l.guestDown())
			l.powerChanged(&vm.VirtualMachine)
		}
	}, id)
}

func metadata(ec map[string]string) string {
	s := ec["guestinfo.metadata"]
	if b, err := decode(s, ec["guestinfo.metadata.encoding"]); err == nil {
		return string(b)
	}
	return s
}

func (l *lab) guestDown() []types.PropertyChange {
	off := string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	return []types.PropertyChange{
		{Name: "guest.toolsRunningStatus", Val: off},
		{Name: "guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsNotRunning},
		{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateNotRunning)},
		{Name: "guest.ipAddress", Val: ""},
		{Name: "guest.guestOperationsReady", Val: false},
		{Name: "summary.guest.toolsRunningStatus", Val: off},
		{Name: "summary.guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsNotRunning},
		{Name: "summary.guest.ipAddress", Val: ""},
		{Name: "guestHeartbeatStatus", Val: types.ManagedEntityStatusGray},
		{Name: "summary.quickStats.guestHeartbeatStatus", Val: types.ManagedEntityStatusGray},
	}
}

// guestSet applies changes as the guest's tools would, unless ctx has ended.
func (l *lab) guestSet(ctx context.Context, id ref, ch []types.PropertyChange) {
	sc := l.context(ctx)
	sc.WithLock(id, func() {
		if obj := l.reg.Get(id); obj != nil && ctx.Err() == nil {
			l.reg.Update(sc, obj, ch)
		}
	})
}

func (l *lab) powerOff(ctx context.Context, id ref) {
	sc := l.context(context.Background())
	sc.WithLock(id, func() {
		vm, ok := l.reg.Get(id).(*simulator.VirtualMachine)
		if ok && ctx.Err() == nil {
			vm.PowerOffVMTask(sc, &types.PowerOffVM_Task{This: id})
		}
	})
}

func (l *lab) nicInfo(vm *mo.VirtualMachine) []types.GuestNicInfo {
	var out []types.GuestNicInfo
	for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil)) {
		c := d.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
		n := ""
		switch b := c.Backing.(type) {
		case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
			pg := ref{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}
			if o, ok := l.reg.Get(pg).(*simulator.DistributedVirtualPortgroup); ok {
				n = o.Name
			}
		case *types.VirtualEthernetCardNetworkBackingInfo:
			n = b.DeviceName
		}
		out = append(out, types.GuestNicInfo{Network: n, MacAddress: c.MacAddress, DeviceConfigId: c.Key})
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
