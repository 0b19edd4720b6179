from __future__ import annotations

from django.urls import path

from customers.ingest import views as imports
from customers.views import actions, exports, lists, search, single, tasks

app_name = "customers"
urlpatterns = [
    path("", lists.customer_list, name="customer-list"),
    path("columns/", lists.columns, name="columns"),
    path("filter/", lists.filter_editor, name="filter"),
    path("filter/row/", lists.filter_row, name="filter-row"),
    path("views/", lists.view_list, name="view-list"),
    path("views/save/", lists.view_save, name="view-save"),
    path("views/<int:view_id>/", lists.view_change, name="view-change"),
    path("export/", exports.export, name="export"),
    path("export/selected/", exports.export_selected, name="export-selected"),
    path("export/run/", exports.export_run, name="export-run"),
    path("exports/", exports.export_log, name="export-log"),
    path("log/", search.log, name="log"),
    path("tasks/", tasks.task_bulk, name="task-bulk"),
    path("prospects/new/", actions.prospect_add, name="prospect-add"),
    path("imports/", imports.import_list, name="import-list"),
    path("imports/new/", imports.import_new, name="import-new"),
    path("imports/<int:pk>/", imports.import_detail, name="import"),
    path("imports/<int:pk>/try/", imports.import_try, name="import-try"),
    path("imports/<int:pk>/again/", imports.import_again, name="import-again"),
    path("imports/<int:pk>/run/", imports.import_run, name="import-run"),
    path("imports/<int:pk>/progress/", imports.import_progress, name="import-progress"),
    path("imports/<int:pk>/errors/", imports.import_errors, name="import-errors"),
    path("imports/<int:pk>/undo/", imports.import_undo, name="import-undo"),
    path("<int:customer_id>/", single.customer, name="customer"),
    path("<int:customer_id>/print/", single.print_view, name="customer-print"),
    path("<int:customer_id>/profile/", actions.profile_edit, name="profile-edit"),
    path("<int:customer_id>/contacts/new/", actions.contact_add, name="contact-add"),
    path("<int:customer_id>/contacts/<int:contact_id>/", actions.contact_edit, name="contact-edit"),
    path("<int:customer_id>/tasks/new/", tasks.task_add, name="task-add"),
    path("<int:customer_id>/reveal/<str:kind>/<int:pk>/", actions.reveal, name="reveal"),
    path("<int:customer_id>/panels/trend/", single.trend, name="panel-trend"),
    path("<int:customer_id>/panels/accounts/", single.accounts, name="panel-accounts"),
    path("<int:customer_id>/panels/loans/", single.loans, name="panel-loans"),
    path("<int:customer_id>/panels/products/", single.products, name="panel-products"),
    path("<int:customer_id>/panels/entries/", single.entries, name="panel-entries"),
    path("<int:customer_id>/panels/timeline/", single.timeline_panel, name="panel-timeline"),
    path("<int:customer_id>/panels/contacts/", single.contacts, name="panel-contacts"),
    path("<int:customer_id>/panels/tasks/", single.tasks, name="panel-tasks"),
    path("<int:customer_id>/panels/profile/", single.profile, name="panel-profile"),
    path("<int:customer_id>/panels/identity/", single.identity, name="panel-identity"),
    path("<int:customer_id>/panels/relations/", single.relations, name="panel-relations"),
    path("<int:customer_id>/panels/completeness/", single.completeness, name="panel-completeness"),
]
