"""`python -m services.explain`: the explain worker's Celery pool."""

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import ExplainTask
from neuroscan.worker import stage_worker
from services.explain.worker import load

if __name__ == "__main__":
    stage_worker(service="explain", stage=StageName.EXPLAIN, task_type=ExplainTask, load=load).run()
