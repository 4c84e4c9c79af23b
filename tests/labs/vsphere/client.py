# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare pyvmomi client of the lab: what check.py and benchmarks compare with. Needs pyvmomi."""

import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..processes import LabError
from .simulator import TEMPLATE
from .site import IP, PASSWORD, USER, Site

Values = dict[Any, dict[str, Any]]  # managed object -> path -> value
WAIT_SECONDS = 60
PATIENCE_SECONDS = 20


def connect(site: Site, user: str = USER, password: str = PASSWORD) -> Any:
    """A session: the service instance. Its owner calls pyVim.connect.Disconnect."""
    from pyVim.connect import SmartConnect

    verified = ssl.create_default_context(cafile=str(site.ca_file))
    return SmartConnect(host=IP, port=site.port("vcenter"), user=user, pwd=password, sslContext=verified)


def read(instance: Any, objects: Sequence[Any], paths: Sequence[str]) -> Values:
    """Leaf paths of the given objects, of one type, in one call."""
    from pyVmomi import vmodl

    query = vmodl.query.PropertyCollector
    properties = [query.PropertySpec(type=type(objects[0]), pathSet=list(paths))]
    spec = query.FilterSpec(propSet=properties, objectSet=[query.ObjectSpec(obj=one) for one in objects])
    answer = instance.content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions())
    return {one.obj: {item.name: item.val for item in one.propSet} for one in answer.objects}


def find(instance: Any, kind: type, name: str) -> Any:
    """The first object of this type and name; LookupError."""
    content = instance.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], recursive=True)
    try:
        return next(one for one, values in read(instance, view.view, ["name"]).items() if values["name"] == name)
    except StopIteration:
        raise LookupError(name) from None
    finally:
        view.Destroy()


def wait(instance: Any, tasks: Iterable[Any], seconds: int = WAIT_SECONDS) -> Values:
    """All tasks' ends by one filter: state, error, result. TimeoutError when nothing happens for `seconds`."""
    from pyVmomi import vim, vmodl

    query, left = vmodl.query.PropertyCollector, set(tasks)
    known: Values = {}
    if not left:
        return {}
    collector = instance.content.propertyCollector.CreatePropertyCollector()
    properties = [query.PropertySpec(type=vim.Task, pathSet=["info.state", "info.error", "info.result"])]
    spec = query.FilterSpec(propSet=properties, objectSet=[query.ObjectSpec(obj=task) for task in left])
    collector.CreateFilter(spec, partialUpdates=True)
    version = ""
    try:
        while left:
            update = collector.WaitForUpdatesEx(version, query.WaitOptions(maxWaitSeconds=seconds))
            if update is None:
                raise TimeoutError(f"{len(left)} tasks have not ended")
            version = update.version
            for changed in (one for part in update.filterSet for one in part.objectSet):
                values = known.setdefault(changed.obj, {})
                values.update((change.name, change.val) for change in changed.changeSet)
                if values.get("info.state") in ("success", "error"):
                    left.discard(changed.obj)
    finally:
        collector.Destroy()
    return known


class Estate:
    """The seed as one session sees it."""

    def __init__(self, site: Site) -> None:
        from pyVmomi import vim

        self.site, self.instance = site, connect(site)
        self.template = find(self.instance, vim.VirtualMachine, TEMPLATE)
        self.folder = find(self.instance, vim.Folder, "fleet")
        self.clusters = {name: find(self.instance, vim.ClusterComputeResource, name) for name in ("fd-a", "fd-b", "fd-c")}
        self.pools = {
            name: next(pool for pool in one.resourcePool.resourcePool if pool.name == "fleet") for name, one in self.clusters.items()
        }

    def spec(self, *, domain: str = "fd-a", datastore: str = "ds-shared", extra: dict[str, str] | None = None, on: bool = True) -> Any:
        """A clone of the template, all inline."""
        from pyVmomi import vim

        where = vim.vm.RelocateSpec(pool=self.pools[domain], datastore=find(self.instance, vim.Datastore, datastore))
        options = [vim.option.OptionValue(key=key, value=value) for key, value in (extra or {}).items()]
        return vim.vm.CloneSpec(location=where, powerOn=on, template=False, config=vim.vm.ConfigSpec(extraConfig=options))

    def clone(self, name: str, spec: Any = None) -> Any:
        """The task."""
        return self.template.CloneVM_Task(folder=self.folder, name=name, spec=spec or self.spec())

    def made(self, name: str, spec: Any = None) -> Any:
        """The VM; the task's fault is raised."""
        return self.ended(self.clone(name, spec))

    def ended(self, task: Any) -> Any:
        """The task's result; its fault is raised."""
        values = wait(self.instance, [task])[task]
        if values["info.state"] == "error":
            raise values["info.error"]
        return values.get("info.result")

    def error(self, task: Any) -> str:
        """The class of the task's fault, without its package; "" for none."""
        fault = wait(self.instance, [task])[task].get("info.error")
        return type(fault).__name__.rpartition(".")[2] if fault else ""


# --- for checks ------------------------------------------------------------------------------------------------------


def failure(act: Callable[[], Any]) -> Exception | None:
    """What it raises."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever a client meets  # pylint: disable=broad-except
        return error
    return None


def raised(act: Callable[[], Any]) -> str:
    """The class of what it raises, without its package; "" for nothing."""
    error = failure(act)
    return type(error).__name__.rpartition(".")[2] if error else ""


def attempt(act: Callable[[], Any]) -> Any:
    """What it returns, None where it raises."""
    try:
        return act()
    except Exception:  # noqa: BLE001 - the vCenter is away  # pylint: disable=broad-except
        return None


def until(test: Callable[[], Any]) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := test()):
        ensure(time.monotonic() < deadline, "it does not become so")
        time.sleep(0.05)
    return answer


def ensure(condition: bool, what: str) -> None:
    if not condition:
        raise LabError(what)
