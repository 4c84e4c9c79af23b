# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a pool is rolled."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, STRATEGY."""

    DOCUMENTATION = r"""
options:
  strategy:
    description: How machines are replaced. Counts are numbers or percentages of O(replicas), in quotes.
    type: dict
    suboptions:
      type:
        description:
          - V(rolling_update) replaces outdated machines by itself.
          - V(on_delete) leaves them as they are. What is missing is made from the new image, so a machine is replaced when somebody deletes
            it, puts Cluster API's annotation C(cluster.x-k8s.io/delete-machine) on its node, or asks M(immutable.fleet.node_pool_control).
          - V(recreate) deletes a machine first, waits until its VM and its Node are gone, and makes it again with the same name, slot,
            failure domain and ports, hence addresses. O(strategy.max_surge) does not count then, and at least one machine may be
            unavailable.
        type: str
        choices: [rolling_update, on_delete, recreate]
        default: rolling_update
      max_surge:
        description:
          - How many machines may exist beyond O(replicas) during a rollout. A percentage rounds up.
          - V(0) replaces within the present number; then O(strategy.max_unavailable) has to be above 0.
        type: str
        default: '1'
      max_unavailable:
        description:
          - How many of O(replicas) may be unavailable during a rollout. A percentage rounds down.
          - V(0) replaces nothing before its successor is available; then O(strategy.max_surge) has to be above 0.
        type: str
        default: '0'
      min_ready:
        description: How long a machine has to be ready before it counts as available, in seconds or as V(30s).
        type: str
        default: 30s
      startup_timeout:
        description: How long a machine may take from its creation to ready. After that it has failed and is replaced.
        type: str
        default: 20m
      progress_deadline:
        description: The run ends as failed when nothing changed for so long that any fact or timer could change, and says what blocks.
        type: str
        default: 30m
      max_blocked:
        description: How many machines that could not be drained are set aside at a time, at least 1. A percentage rounds down.
        type: str
        default: 5%
      max_unhealthy_total:
        description:
          - How many machines may be failed or not ready before replacing them needs the proof that a new machine becomes available.
          - A percentage rounds up.
        type: str
        default: 20%
      steps:
        description:
          - Canary ladder. How many machines may be of the new image before the next step, for example V([1, 10%, 50%]).
          - A step ends when its machines were available, with ready pods, for as long as O(strategy.soak) says.
            The last step is always the whole pool. A percentage rounds up.
        type: list
        elements: str
        default: []
      soak:
        description: How long the machines of a step, and the pods on them, have to be ready before the next step, in seconds or as V(10m).
        type: str
        default: '0'
      max_failed_new:
        description:
          - How many new machines may run and never become ready before their image is refused, at least 1. A percentage rounds down.
          - By default V(1) in the first step, or in all where there are no steps, then V(5%).
        type: str
      on_breach:
        description:
          - What follows when an image is refused. V(pause) leaves the pool as it is, V(rollback) goes back to the image before.
          - Later runs don't try it again until M(immutable.fleet.node_pool_control) resumes, or the image is another one.
        type: str
        choices: [pause, rollback]
        default: pause
      windows:
        description:
          - When replacements may begin. Without windows always.
          - A window that closes stops nothing that has begun. Machines that fail, and machines that are missing, are made at any time.
          - Windows that overlap or touch are one; a duration longer than the time between two openings is open all the time.
          - Needs the Python library C(cronsim), and time zones (of the system, or C(tzdata)).
        type: list
        elements: dict
        default: []
        suboptions:
          cron:
            description:
              - When it opens, as V(0 22 * * 1-5), which is 22:00 from Monday to Friday. Five fields, minute, hour, day of the month, month
                and day of the week, which mean what they mean to Debian's cron.
              - A time that summer time leaves out is the next one that exists; of a time that comes twice the first counts.
            type: str
            required: true
          duration:
            description: How long it stays open, in seconds or as V(6h), of elapsed time.
            type: str
            required: true
          timezone:
            description: Name of the time zone that O(strategy.windows[].cron) is meant in, as V(Europe/Berlin).
            type: str
            default: UTC
      budgets:
        description:
          - How many machines may be on their way out at a time to be replaced. Of all budgets that hold now the smallest counts.
          - They come on top of O(strategy.max_surge) and O(strategy.max_unavailable), which bound the pool at any time.
        type: list
        elements: dict
        default: []
        suboptions:
          count:
            description: A number, or a percentage of O(replicas), which rounds up. V(0) lets none begin, as a closed window does.
            type: str
            required: true
          cron:
            description: When it begins to hold, as in O(strategy.windows[].cron). Without it the budget holds always.
            type: str
          duration:
            description: How long it holds. Required with O(strategy.budgets[].cron).
            type: str
          timezone:
            description: Name of the time zone that O(strategy.budgets[].cron) is meant in.
            type: str
            default: UTC
      max_age:
        description:
          - Machines older than this are replaced as if they were outdated, as V(30d). By default age is no reason.
          - The last fifth of it is where they become due, each at an instant of its own that comes from its name, so that machines made
            together do not go together. At most 10% of O(replicas), at least one, are being replaced for their age at a time.
          - Has to be longer than O(strategy.startup_timeout).
        type: str
      order:
        description:
          - Which machine goes first, among the outdated ones and among those that are too many. V(longest_drain) is the one whose drain
            is predicted to take longest; V(oldest) and V(newest) go by when machines were made.
          - Failure domains take turns in every order. A machine whose node carries the annotation
            C(cluster.x-k8s.io/delete-machine) goes before all others.
        type: str
        choices: [longest_drain, oldest, newest]
        default: longest_drain
      gate:
        description:
          - Who is asked between two steps of a rollout. It is asked again, after 10 seconds and then ever more seldom, at least once a
            minute, until it passes.
          - Exactly one of O(strategy.gate.command) and O(strategy.gate.url).
        type: dict
        suboptions:
          command:
            description:
              - A program of the host that the module runs on, with its arguments, not run by a shell. It passes by ending with 0 within
                O(call_timeout). Its last line of output is shown.
              - It finds the variables C(FLEET_POOL), C(FLEET_STEP) and C(FLEET_REVISION) in its environment.
            type: list
            elements: str
          url:
            description:
              - An C(http) or C(https) address that passes by answering 2xx within O(call_timeout). A redirect is not followed and does not
                pass.
              - V(${pool}), V(${step}) and V(${revision}) are replaced in it. It is no place for a secret.
            type: str
      hooks:
        description:
          - Who is asked for each machine on its way out. They are asked as a gate is, and again by the next run when one was killed.
          - Cluster API's annotations on the node are waited for without any option, until whoever wrote them takes them away. Those that
            begin with C(pre-drain.delete.hook.machine.cluster.x-k8s.io) hold back the drain, and those that begin with
            C(pre-terminate.delete.hook.machine.cluster.x-k8s.io) the deletion of the VM.
        type: dict
        suboptions:
          before_drain:
            description:
              - Has to pass before pods are evicted; the node is cordoned by then.
              - Exactly one of O(strategy.hooks.before_drain.command) and O(strategy.hooks.before_drain.url).
            type: dict
            suboptions:
              command:
                description: As O(strategy.gate.command), with C(FLEET_MACHINE) beside the other variables.
                type: list
                elements: str
              url:
                description: As O(strategy.gate.url), with V(${machine_name}) beside the others.
                type: str
          before_delete:
            description:
              - Has to pass before the VM is deleted; its node is empty by then.
              - Exactly one of O(strategy.hooks.before_delete.command) and O(strategy.hooks.before_delete.url).
            type: dict
            suboptions:
              command:
                description: As O(strategy.gate.command), with C(FLEET_MACHINE) beside the other variables.
                type: list
                elements: str
              url:
                description: As O(strategy.gate.url), with V(${machine_name}) beside the others.
                type: str
"""
