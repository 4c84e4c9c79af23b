# SPDX-License-Identifier: GPL-3.0-or-later
# Installed by install.py as nova/virt/labfake.py of the lab's venv: nova only
# loads compute drivers from the nova.virt namespace.
"""nova's fake driver plus what a provisioning tool needs to see.

Adds to nova.virt.fake.FakeDriver:

* node UUIDs that survive a restart (upstream draws them at random, and nova
  refuses to start when a known host shows another node UUID);
* knobs read from the server's metadata:
    lab_build_delay   seconds spawn() sleeps
    lab_fail          spawn:    raise, so nova reschedules (retries) then ERROR
                      abort:    BuildAbortException, ERROR at once
                      power:    spawn ends with the guest powered off
    lab_snapshot_fail any value: snapshot() raises after the upload has begun
    lab_delete_delay  seconds destroy() sleeps
  LAB_BUILD_DELAY in the environment is the default of the first one;
* snapshots that really upload bytes to glance (the upstream one leaves the
  image 'queued' for ever);
* a console log that names the server and shows its user data;
* guests that are still there after a restart of nova-compute.
"""

import base64
import os
import time
import uuid

from nova.compute import power_state
from nova.compute import task_states
from nova import exception
from nova.image import glance
from nova.virt import fake

NS = uuid.UUID("6f1d8f5e-0f5b-4f5c-9a58-1ab01ab01ab0")


def node_uuid(name):
    return str(uuid.uuid5(NS, name))


def _meta(instance, key, default=None):
    try:
        return (instance.metadata or {}).get(key, default)
    except Exception:
        return default


class LabDriver(fake.FakeDriver):
    capabilities = dict(fake.FakeDriver.capabilities, supports_image_type_qcow2=True, supports_migrate_to_same_host=True)
    vcpus = int(os.environ.get("LAB_VCPUS", "4000"))
    memory_mb = int(os.environ.get("LAB_MEMORY_MB", "8000000"))
    local_gb = int(os.environ.get("LAB_DISK_GB", "600000"))

    def get_nodenames_by_uuid(self, refresh=False):
        return {node_uuid(n): n for n in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        res = super().get_available_resource(nodename)
        if res:
            res["uuid"] = node_uuid(nodename)
        return res

    def spawn(
        self,
        context,
        instance,
        image_meta,
        injected_files,
        admin_password,
        allocations,
        network_info=None,
        block_device_info=None,
        power_on=True,
        accel_info=None,
    ):
        delay = float(_meta(instance, "lab_build_delay", os.environ.get("LAB_BUILD_DELAY", "0")) or 0)
        if delay:
            time.sleep(delay)
        fail = _meta(instance, "lab_fail")
        if fail == "spawn":
            raise exception.ComputeResourcesUnavailable(reason="lab_fail=spawn")
        if fail == "abort":
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="lab_fail=abort")
        if fail == "power":
            power_on = False
        super().spawn(context, instance, image_meta, injected_files, admin_password, allocations, network_info, block_device_info, power_on)

    def destroy(self, context, instance, *args, **kwargs):
        delay = float(_meta(instance, "lab_delete_delay", 0) or 0)
        if delay:
            time.sleep(delay)
        super().destroy(context, instance, *args, **kwargs)

    def resume_state_on_host_boot(self, context, instance, network_info, share_info, block_device_info=None):
        self._readopt(instance)

    def _readopt(self, instance):
        if instance.uuid in self.instances:
            return
        state = instance.power_state
        if state in (None, power_state.NOSTATE):
            state = power_state.RUNNING
        self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)

    def get_info(self, instance, use_cache=True):
        # After a restart the dictionary is empty: take a guest that nova's
        # database knows on this host for a running one, until it is deleted.
        if (
            instance.uuid not in self.instances
            and instance.vm_state
            and instance.vm_state not in ("building", "deleted", "error")
            and instance.task_state is None
        ):
            self._readopt(instance)
        return super().get_info(instance, use_cache)

    def snapshot(self, context, instance, image_id, update_task_state):
        if instance.uuid not in self.instances:
            self._readopt(instance)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
        if _meta(instance, "lab_snapshot_fail"):
            raise exception.NovaException("lab_snapshot_fail")
        size = int(_meta(instance, "lab_snapshot_bytes", 1 << 20))
        api = glance.get_default_image_service()
        head = ("lab snapshot of %s\n" % instance.uuid).encode()

        class Data:
            def __init__(self):
                self.left, self.first = size, True

            def read(self, n=65536):
                if not self.left:
                    return b""
                if self.first:
                    self.first = False
                    self.left -= len(head)
                    return head
                n = min(n if n and n > 0 else 65536, self.left)
                self.left -= n
                return b"\0" * n

        api.update(context, image_id, {"disk_format": "raw", "container_format": "bare"}, Data(), purge_props=False)

    def get_console_output(self, context, instance):
        lines = [
            "[    0.000000] Linux version 6.1.0-lab (fake)",
            "[    1.000000] systemd[1]: Hostname set to <%s>." % (instance.hostname or instance.uuid),
            "ci-info: instance-id %s" % instance.uuid,
        ]
        if instance.user_data:
            try:
                text = base64.b64decode(instance.user_data).decode(errors="replace")
            except Exception:
                text = "(undecodable user data)"
            lines.append("-----BEGIN USER DATA-----")
            lines.extend(text.splitlines())
            lines.append("-----END USER DATA-----")
        lines.append("Cloud-init v. 22.4.2 finished at lab")
        lines.append("%s login: " % (instance.hostname or "lab"))
        return "\n".join(lines) + "\n"
