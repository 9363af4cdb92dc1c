"""The scaling policy of the workers, in one place: what infrastructure code declares is what simulate.py plays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """Two target tracking policies on one service. Times in seconds.

    Backlog per task, (visible + in flight) / running tasks, of the queue `work`: brings tasks when mail waits. Its target is a time in disguise, what a
    task gets through in `target_seconds`: where tasks get faster, only `mails_per_task` changes. CPU: keeps them while they are busy, as a queue that is
    worked off in time is empty and says nothing of how many do it. Application Auto Scaling takes tasks away only when all policies agree.
    """

    vcpu: float = 0.25
    """Of a task, Fargate on ARM: the smallest. Nights are quiet, and many small tasks follow a day more closely than few large ones. It needs as many connections as a larger one: four, of which Aurora has thousands."""
    memory: float = 1.0
    """GB of a task."""
    mails_per_task: float = 53.8
    """Mails a second that a task gets through: `mailloom plan` works it out from the measured CPU and the calls of a mail of 40 KB."""
    target_seconds: float = 60.0
    """Well above the few seconds that a mail is in flight, so that only a queue that grows brings tasks by this policy."""
    cpu_target: float = 0.68
    """Of a task's vCPU in the mean: three quarters of what it uses when it is never idle. By the queue alone, tasks go while they are needed: it swings
    every half hour and is three minutes late (simulate.py).
    """
    cpu_busy: float = 0.91
    """What a task uses that is never idle: the rest of its time it waits for stores. Worked out like `mails_per_task`."""
    min_tasks: int = 1
    """It does three times what a night of 10M mails a day brings, and is not on Spot. Is it lost, mail waits in the queue for the two minutes in which ECS
    starts another, in another zone if need be; a second one is 0.01 USD a million mails at 10M a day."""
    max_tasks: int = 60
    """Bounds the bill, and what the stores must bear: 3,200 mails a second."""
    scale_out_cooldown: int = 120
    """Longer than a task takes to start: what was asked for must count before more is asked for."""
    scale_in_cooldown: int = 300
    """Mail comes in waves; a task that was stopped too early is paid for again with its start."""
    on_demand_base: int = 1
    """Tasks that are never on Spot: if all Spot is taken back, mail still flows."""
    spot_weight: int = 4
    on_demand_weight: int = 1
    """Of the tasks above the base, four of five are on Spot."""
    protected: bool = True
    """A task that holds mail is not chosen when tasks are taken away (ECS task scale-in protection)."""
    stop_seconds: int = 120
    """From SIGTERM to SIGKILL, the most that Fargate gives; `worker.drain_seconds` (100) must fit in."""

    @property
    def backlog_per_task(self) -> float:
        """The target: messages, visible and in flight, for each running task."""
        return self.mails_per_task * self.target_seconds

    @property
    def spot_share(self) -> float:
        """Of the tasks above the base."""
        return self.spot_weight / (self.spot_weight + self.on_demand_weight)


DEFAULT = ScalingPolicy()
