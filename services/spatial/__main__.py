"""`python -m services.spatial`: the spatial worker's Celery pool."""

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import MeasureTask
from neuroscan.worker import stage_worker
from services.spatial.worker import load

if __name__ == "__main__":
    stage_worker(service="spatial", stage=StageName.MEASURE, task_type=MeasureTask, load=load).run()
