"""What is done to customers: one function per business action."""

from customers.services.exports import Export, csv_chunks, export_customers, workbook
from customers.services.interactions import correct_interaction, may_correct, record_interaction
from customers.services.merging import EditConflict, FieldConflict
from customers.services.people import add_person, change_person, person_left
from customers.services.placement import Placement, place_customers
from customers.services.privacy import reveal_identifier
from customers.services.profile import create_prospect, update_profile
from customers.services.saved_views import change_view, remove_view, save_view
from customers.services.search import locate_customer
from customers.services.tasks import create_customer_tasks
from customers.services.ties import end_tie, record_tie

__all__ = [
    "EditConflict",
    "Export",
    "FieldConflict",
    "Placement",
    "add_person",
    "change_person",
    "change_view",
    "correct_interaction",
    "create_customer_tasks",
    "create_prospect",
    "csv_chunks",
    "end_tie",
    "export_customers",
    "locate_customer",
    "may_correct",
    "person_left",
    "place_customers",
    "record_interaction",
    "record_tie",
    "remove_view",
    "reveal_identifier",
    "save_view",
    "update_profile",
    "workbook",
]
