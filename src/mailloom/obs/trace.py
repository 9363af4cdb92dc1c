"""Traces by OTLP/HTTP: one a mail, from the event of its object through queue, validator, worker and each sink.

Ids are X-Ray's (the first 32 bits of a trace id are its second), so the same trace can be shown there. Whether a mail is traced is decided
once, where its trace begins, and travels with it. A worker works on many mails at a time: a batch is a trace of its own that links to the
mails' spans, and when it ends, the steps that it took are written into the trace of each mail too, so that one trace tells all of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mailloom.config import Obs
from mailloom.obs.lib import TIMEOUT
from mailloom.obs.log import TEXTS, plain

Attributes: TypeAlias = Mapping[str, str | float]
XRAY = "X-Amzn-Trace-Id"  # the header's name in HTTP; SQS calls it:
SQS_XRAY = "AWSTraceHeader"
WAITING = 8192  # spans that wait to be sent; more are dropped
W3C, AWS = TraceContextTextMapPropagator(), AwsXRayPropagator()


@dataclass(slots=True)
class Step:
    """What a batch did, to be told in each mail's trace: `above` is the index of the step around it, -1 for none. Times in ns."""

    name: str
    above: int
    begin: int
    attributes: dict[str, str | float]
    end: int = 0
    failed: str = ""


@dataclass(slots=True)
class Steps:
    taken: list[Step] = field(default_factory=list)
    open: int = -1


_steps: ContextVar[Steps | None] = ContextVar("steps", default=None)


class Handle:
    """A span that goes on. Implements obs.Span."""

    def __init__(self, span: api.Span, step: Step | None = None) -> None:
        self._span, self._step = span, step

    def set(self, **attributes: str | float) -> None:
        kept = _told(attributes)
        self._span.set_attributes(kept)
        if self._step is not None:
            self._step.attributes.update(kept)


class Mails:
    """A batch that goes on. Implements obs.Batch."""

    def __init__(self, tracer: api.Tracer, span: api.Span, mails: Sequence[api.Span | None]) -> None:
        self._tracer, self._span, self._mails = tracer, span, mails

    def set(self, **attributes: str | float) -> None:
        self._span.set_attributes(_told(attributes))

    def about(self, number: int, **attributes: str | float) -> None:
        if (span := self._mails[number]) is not None:
            span.set_attributes(_told(attributes))

    @contextmanager
    def mail(self, number: int, name: str, **attributes: str | float) -> Iterator[Handle]:
        if (above := self._mails[number]) is None:
            yield Handle(api.INVALID_SPAN)
            return
        span = self._tracer.start_span(name, api.set_span_in_context(above, Context()), attributes=_told(attributes))
        try:
            yield Handle(span)
        except BaseException as error:
            _fail(span, type(error).__name__)
            raise
        finally:
            span.end()


class Tracing:
    """Makes spans and sends them to a collector."""

    def __init__(self, settings: Obs) -> None:
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint.rstrip("/") + "/v1/traces", timeout=TIMEOUT)
        self._processor = BatchSpanProcessor(exporter, max_queue_size=WAITING)
        self._tracer = self._made(settings, ParentBased(TraceIdRatioBased(settings.sample)))
        self._every = self._made(settings, ALWAYS_ON)  # for batches: traced if one of their mails is

    def _made(self, settings: Obs, sampler: Any) -> api.Tracer:
        provider = TracerProvider(
            sampler=sampler,
            resource=Resource.create({"service.name": settings.service}),
            id_generator=AwsXRayIdGenerator(),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        return provider.get_tracer("mailloom")

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, parent: Mapping[str, str] | None = None, start: int | None = None
    ) -> Iterator[Handle]:
        """See obs.span."""
        above = extract(parent) if parent is not None else None
        begin = start * 1_000_000 if start is not None else None
        told = _told(attributes)
        span = self._tracer.start_span(name, above, attributes=told, start_time=begin)
        steps = _steps.get() if parent is None else None
        step = None
        if steps is not None:
            step = Step(name, steps.open, begin or time.time_ns(), told)
            steps.taken.append(step)
            steps.open = len(steps.taken) - 1
        token = contexts.attach(api.set_span_in_context(span, above))
        failed = ""
        try:
            yield Handle(span, step)
        except BaseException as error:
            failed = type(error).__name__
            _fail(span, failed)
            raise
        finally:
            contexts.detach(token)
            span.end()
            if steps is not None and step is not None:
                step.end, step.failed, steps.open = time.time_ns(), failed, step.above

    @contextmanager
    def batch(
        self, name: str, parents: Sequence[Mapping[str, str]], sent: Sequence[int], attributes: Attributes
    ) -> Iterator[Mails]:
        """See obs.batch."""
        mails = [self._mail(name, parent, sent[i] if i < len(sent) else None) for i, parent in enumerate(parents)]
        traced = [span for span in mails if span is not None]
        span: api.Span
        if traced:
            links = [api.Link(one.get_span_context()) for one in traced]
            span = self._every.start_span(f"{name} batch", Context(), attributes=_told(attributes), links=links)
            span.set_attribute("mails", len(mails))
        else:  # so that no step begins a trace of its own
            made = AwsXRayIdGenerator()
            span = api.NonRecordingSpan(
                api.SpanContext(made.generate_trace_id(), made.generate_span_id(), is_remote=False)
            )
        steps = Steps()
        marker = _steps.set(steps if traced else None)
        token = contexts.attach(api.set_span_in_context(span, Context()))
        try:
            yield Mails(self._tracer, span, mails)
        except BaseException as error:
            for one in (span, *traced):
                _fail(one, type(error).__name__)
            raise
        finally:
            contexts.detach(token)
            _steps.reset(marker)
            span.end()
            for one in traced:
                self._tell(one, steps.taken, span)
                one.end()

    def _mail(self, name: str, parent: Mapping[str, str], sent: int | None) -> api.Span | None:
        """The span of one mail of a batch; None where it isn't traced."""
        above = extract(parent)
        context = api.get_current_span(above).get_span_context()
        if not (context.is_valid and context.trace_flags.sampled):
            return None
        if sent is not None:
            self._tracer.start_span("queue", above, start_time=sent * 1_000_000).end()
        return self._tracer.start_span(name, above, kind=api.SpanKind.CONSUMER)

    def _tell(self, mail: api.Span, steps: Sequence[Step], batch: api.Span) -> None:
        """Write the batch's steps into a mail's trace, with the times that they took for all of it."""
        link = [api.Link(batch.get_span_context())]
        made: list[api.Span] = []
        for step in steps:
            above = made[step.above] if step.above >= 0 else mail
            place = api.set_span_in_context(above, Context())
            span = self._tracer.start_span(
                step.name, place, attributes=step.attributes, start_time=step.begin, links=link
            )
            if step.failed:
                _fail(span, step.failed)
            span.end(step.end)
            made.append(span)

    def carrier(self) -> dict[str, str]:
        """See obs.carrier."""
        found: dict[str, str] = {}
        W3C.inject(found)
        AWS.inject(found)
        if XRAY in found:
            found[SQS_XRAY] = found.pop(XRAY)
        return found

    def flush(self) -> None:
        self._processor.force_flush(1000 * TIMEOUT)

    def close(self) -> None:
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def extract(attributes: Mapping[str, str]) -> Context:
    """The context that a queue message's attributes, or HTTP-like headers, carry: W3C's if it is there, else X-Ray's."""
    context = W3C.extract(dict(attributes), Context())
    if api.get_current_span(context).get_span_context().is_valid:
        return context
    header = attributes.get(SQS_XRAY) or attributes.get(XRAY) or attributes.get("_X_AMZN_TRACE_ID", "")
    return AWS.extract({XRAY: header}, Context())


def _told(attributes: Attributes) -> dict[str, str | float]:
    """Without what may be a mail's text."""
    return {k: p for k, v in attributes.items() if k not in TEXTS and isinstance(p := plain(v), str | int | float)}


def _fail(span: api.Span, kind: str) -> None:
    """The error's type only: its words may quote mail."""
    span.set_status(api.Status(api.StatusCode.ERROR, kind))
