"""From a patient's row to the public patient."""

from neuroscan.contracts.enums import Sex
from neuroscan.contracts.patient import PatientView
from services.gateway.db.tables import Patient


def patient_path(patient_id: str) -> str:
    """Where the patient is."""
    return f"/v1/patients/{patient_id}"


def patient_view(patient: Patient) -> PatientView:
    """The patient as stored."""
    return PatientView(
        id=patient.id,
        medical_record_number=patient.medical_record_number,
        name=patient.name,
        birth_date=patient.birth_date,
        sex=Sex(patient.sex),
        notes=patient.notes,
        created_at=patient.created_at,
        updated_at=patient.updated_at,
    )
