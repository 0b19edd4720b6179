from __future__ import annotations

from django.urls import path

from crm_site.work import views

app_name = "work"
urlpatterns = [
    path("tasks/", views.task_list, name="task-list"),
    path("tasks/new/", views.task_add, name="task-add"),
    path("tasks/<int:pk>/", views.task_detail, name="task"),
    path("tasks/<int:pk>/done/", views.task_done, name="task-done"),
    path("tasks/<int:pk>/undo/", views.task_undo, name="task-undo"),
    path("tasks/<int:pk>/later/", views.task_later, name="task-later"),
    path("tasks/<int:pk>/hand-over/", views.task_hand_over, name="task-hand-over"),
    path("notifications/", views.inbox, name="inbox"),
    path("notifications/read/", views.inbox_read, name="inbox-read"),
    path("notifications/<int:pk>/", views.notice_open, name="notice-open"),
]
