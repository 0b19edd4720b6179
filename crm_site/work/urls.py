from __future__ import annotations

from django.urls import path

from crm_site.work import views

app_name = "work"
urlpatterns = [
    path("tasks/", views.task_list, name="task-list"),
    path("tasks/new/", views.task_add, name="task-add"),
    path("tasks/<int:task_id>/", views.task_detail, name="task"),
    path("tasks/<int:task_id>/done/", views.task_done, name="task-done"),
    path("tasks/<int:task_id>/undo/", views.task_undo, name="task-undo"),
    path("tasks/<int:task_id>/later/", views.task_later, name="task-later"),
    path("tasks/<int:task_id>/hand-over/", views.task_hand_over, name="task-hand-over"),
    path("notifications/", views.inbox, name="inbox"),
    path("notifications/read/", views.inbox_read, name="inbox-read"),
    path("notifications/<int:notification_id>/", views.notice_open, name="notice-open"),
]
