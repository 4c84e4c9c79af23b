// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// powerChanged runs in the update of runtime.powerState, under the VM's lock.
func (l *lab) powerChanged(vm *mo.VirtualMachine) {
	id := vm.Self
	ctx := l.guest.begin(id)
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		go l.guestSet(ctx, id, guestDown())
		return
	}
	known := extra(vm)
	b := boot{lab: l, id: id, vm: vm, name: vm.Name, extra: known, init: readCloudInit(known), time: l.bootTime(known)}
	if vm.Guest != nil && vm.Guest.HostName != "" { // by guest customization
		b.name = vm.Guest.HostName
	}
	if b.init.Hostname != "" {
		b.name = b.init.Hostname
	}
	if vm.Guest != nil && vm.Guest.IpAddress != "" {
		l.guest.fix(id, vm.Guest.IpAddress)
		go l.guestSet(ctx, id, []types.PropertyChange{{Name: "guest.ipAddress", Val: ""}, {Name: "summary.guest.ipAddress", Val: ""}})
	}
	go b.run(ctx)
}

// bootTime is lab.boot_delay (seconds, or 300ms), or that of the settings.
func (l *lab) bootTime(extra map[string]string) time.Duration {
	if s := extra["lab.boot_delay"]; s != "" {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return time.Duration(f * float64(time.Second))
		}
		if d, err := time.ParseDuration(s); err == nil {
			return d
		}
	}
	return time.Duration(l.config().BootMS) * time.Millisecond
}

// boot is one start of a guest.
type boot struct {
	*lab
	id    ref
	vm    *mo.VirtualMachine
	name  string
	extra map[string]string
	init  cloudInit
	time  time.Duration
}

// run brings the tools up after 60% of the boot time, the address at its end.
func (b *boot) run(ctx context.Context) {
	fail := b.extra["lab.fail"]
	if fail == "never-boot" {
		return
	}
	sleep(ctx, b.time*6/10)
	b.guestSet(ctx, b.id, guestUp(b.name))
	sleep(ctx, b.time-b.time*6/10)
	switch fail {
	case "poweroff-after":
		b.powerOff(ctx, b.id)
	case "no-ip":
	default:
		b.addresses(ctx)
	}
}

func (b *boot) addresses(ctx context.Context) {
	given := b.init.Addresses
	if ip := b.extra["lab.ip"]; ip != "" {
		given = []string{ip + "/16"}
	}
	if len(given) == 0 {
		given = []string{b.guest.lease(b.id) + "/16"}
	}
	var cards []types.GuestNicInfo
	b.lock(func(*simulator.Context) { cards = b.cardInfo(b.vm) }, b.id)
	first := ""
	for i, text := range given {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || ctx.Err() != nil {
			continue
		}
		ip := prefix.Addr().String()
		if first == "" {
			first = ip
		}
		b.guest.hold(ip, b.id, b.vm.Name)
		if len(cards) > 0 {
			card := &cards[min(i, len(cards)-1)]
			card.IpAddress = append(card.IpAddress, ip)
			if card.IpConfig == nil {
				card.IpConfig = &types.NetIpConfigInfo{}
			}
			card.IpConfig.IpAddress = append(card.IpConfig.IpAddress, types.NetIpConfigInfoIpAddress{
				IpAddress: ip, PrefixLength: int32(prefix.Bits()), State: string(types.NetIpConfigInfoIpAddressStatusPreferred)})
		}
	}
	for i := range cards {
		cards[i].Connected = true
	}
	b.guestSet(ctx, b.id, []types.PropertyChange{
		{Name: "guest.net", Val: cards}, {Name: "guest.ipAddress", Val: first}, {Name: "summary.guest.ipAddress", Val: first}})
}

// reboot: the tools go away, then the guest boots again.
func (l *lab) reboot(id ref) {
	l.lock(func(ctx *simulator.Context) {
		vm, ok := l.reg.Get(id).(*simulator.VirtualMachine)
		if ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn &&
			vm.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
			l.reg.Update(ctx, vm, guestDown())
			l.powerChanged(&vm.VirtualMachine)
		}
	}, id)
}

func guestUp(name string) []types.PropertyChange {
	on := string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	return []types.PropertyChange{
		{Name: "guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsOk},
		{Name: "guest.toolsRunningStatus", Val: on},
		{Name: "guest.toolsVersionStatus2", Val: string(types.VirtualMachineToolsVersionStatusGuestToolsCurrent)},
		{Name: "guest.toolsVersion", Val: "12352"},
		{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateRunning)},
		{Name: "guest.guestOperationsReady", Val: true},
		{Name: "guest.hostName", Val: name},
		{Name: "summary.guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsOk},
		{Name: "summary.guest.toolsRunningStatus", Val: on},
		{Name: "summary.guest.hostName", Val: name},
		{Name: "guestHeartbeatStatus", Val: types.ManagedEntityStatusGreen},
		{Name: "summary.quickStats.guestHeartbeatStatus", Val: types.ManagedEntityStatusGreen},
	}
}

func guestDown() []types.PropertyChange {
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
func (l *lab) guestSet(ctx context.Context, id ref, changes []types.PropertyChange) {
	sc := l.context(ctx)
	sc.WithLock(id, func() {
		if obj := l.reg.Get(id); obj != nil && ctx.Err() == nil {
			l.reg.Update(sc, obj, changes)
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

// cardInfo is guest.net without addresses.
func (l *lab) cardInfo(vm *mo.VirtualMachine) []types.GuestNicInfo {
	var out []types.GuestNicInfo
	for _, d := range vm.Config.Hardware.Device {
		base, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		card, network := base.GetVirtualEthernetCard(), ""
		switch b := card.Backing.(type) {
		case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
			network = l.name(&ref{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey})
		case *types.VirtualEthernetCardNetworkBackingInfo:
			network = b.DeviceName
		}
		out = append(out, types.GuestNicInfo{Network: network, MacAddress: card.MacAddress, DeviceConfigId: card.Key})
	}
	return out
}

// extra is the VM's extraConfig.
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

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
