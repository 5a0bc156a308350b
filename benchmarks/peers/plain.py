"""A plain FastAPI app: one endpoint that does everything in a thread of the pool."""

import os

import uvicorn
from fastapi import FastAPI, UploadFile

from benchmarks.peers.work import Work


def main() -> None:
    """Serve on `PORT`."""
    work = Work()
    app = FastAPI()

    @app.post("/predict")
    def predict(image: UploadFile) -> dict[str, object]:
        return work.body(work.predict([work.decode(image.file.read())])[0])

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")


if __name__ == "__main__":
    main()
