"""`worker`: jobs from an SQS queue, until it is stopped."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from analyzer.commands.arguments import PORT_MAX, whole_number
from analyzer.contract import ExitCode, JobRequest, ModelRequest, WorkerEnv
from analyzer.errors import Interrupted, RequestInvalid

if TYPE_CHECKING:
    from analyzer.interrupt import StopRequest
    from analyzer.tries import Tries

VISIBILITY_DEFAULT_S = 300
VISIBILITY_MIN_S, VISIBILITY_MAX_S = 30, 3600
RECEIVES_DEFAULT = 5


def add_worker(commands: Any) -> None:
    """Add `worker` to the subparsers of the command line."""
    worker = commands.add_parser("worker", help="run the jobs of an SQS queue, whose URL is QUEUE_URL")
    worker.add_argument(
        "--visibility",
        type=int,
        default=VISIBILITY_DEFAULT_S,
        metavar="S",
        help=f"seconds that a message stays ours without a sign of life (default: {VISIBILITY_DEFAULT_S})",
    )
    worker.add_argument(
        "--max-receives",
        type=int,
        default=RECEIVES_DEFAULT,
        metavar="N",
        help=f"a message that fails for the Nth time in a row is poison (default: {RECEIVES_DEFAULT})",
    )
    worker.add_argument("--once", action="store_true", help="end after one message, or after one look without any")
    worker.add_argument("--idle-exit", type=float, metavar="S", help="end after so many seconds without a message")
    worker.add_argument("--metrics-port", metavar="PORT", help="serve Prometheus metrics there")
    worker.add_argument("--metrics-host", default="127.0.0.1", metavar="HOST", help="default: 127.0.0.1")
    worker.set_defaults(command=_worker)


def _worker(options: argparse.Namespace) -> int:
    queue_url = os.environ.get(WorkerEnv.QUEUE_URL, "").strip()
    if not queue_url:
        raise RequestInvalid("variable-missing", "`QUEUE_URL` is not set", hint="Set it to the queue's URL")
    if not VISIBILITY_MIN_S <= options.visibility <= VISIBILITY_MAX_S:
        what = f"`--visibility` is {options.visibility}, expected {VISIBILITY_MIN_S} to {VISIBILITY_MAX_S}"
        raise RequestInvalid("visibility-invalid", what, hint=f"{VISIBILITY_DEFAULT_S} suits most queues")
    if options.max_receives < 1:
        raise RequestInvalid("receives-invalid", f"`--max-receives` is {options.max_receives}, expected 1 or more")
    if options.idle_exit is not None and not options.idle_exit >= 0:
        raise RequestInvalid("idle-exit-invalid", f"`--idle-exit` is {options.idle_exit:g}, expected 0 or more")
    metrics_port = options.metrics_port
    if metrics_port is not None:
        name = "`--metrics-port`"
        metrics_port = whole_number(metrics_port, name=name, code="port-invalid", least=0, most=PORT_MAX)
    models = ModelRequest.models_from_environment(os.environ)
    from analyzer.progress import Progress

    progress = Progress()
    try:
        # Here, not at the top: a stop signal during these second-long imports must already be caught.
        from analyzer import job
        from analyzer.commands.job import report_failure, report_success
        from analyzer.exposition import serve_metrics
        from analyzer.metrics import Metrics
        from analyzer.sqs import SqsQueue
        from analyzer.worker import Settings, Worker

        metrics = Metrics()
        queue = SqsQueue(queue_url, os.environ.get(WorkerEnv.POISON_QUEUE_URL, "").strip() or None)
        analyzer = job.Analyzer.load(models, progress, metrics)
        if metrics_port is not None:
            server = serve_metrics(options.metrics_host, metrics_port, metrics.readings)
            progress.event("metrics-served", text="", address=list(server.server_address[:2]))
    except Interrupted:
        # No message was received, so no work was cut off.
        return ExitCode.OK

    def run(request: JobRequest, stop: StopRequest, tries: Tries) -> None:
        of_job = Progress(session_id=request.session_id, watch=lambda _: stop.check())
        try:
            document = analyzer.run(request, of_job, tries=tries)
        except (Exception, Interrupted) as error:
            report_failure(of_job, error)
            raise
        report_success(of_job, document, request.result.url if request.result else None)

    settings = Settings(
        visibility_s=options.visibility,
        receives_max=options.max_receives,
        idle_exit_s=options.idle_exit,
        once=options.once,
    )
    progress.event("polling", text=f"polling {queue_url}", queue_url=queue_url)
    return Worker(queue, run, settings, environment=os.environ, log=progress.event).work()
