import crm_site.lib.tenancy
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0002_partitions_and_third_party"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CreditPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bank_id", crm_site.lib.tenancy.BankField(editable=False)),
                ("version", models.PositiveIntegerField()),
                ("note", models.CharField(blank=True, max_length=400)),
                ("valid_from", models.DateField(null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("proposed", "Proposed"),
                            ("published", "Published"),
                            ("retired", "Retired"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("founding", models.BooleanField(default=False)),
                ("drafted_at", models.DateTimeField()),
                ("proposed_at", models.DateTimeField(null=True)),
                ("published_at", models.DateTimeField(null=True)),
                ("subject", models.CharField(max_length=20)),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("corporate", "Corporate"),
                            ("sme", "Small business"),
                            ("personal", "Personal"),
                            ("household", "Rural household"),
                        ],
                        max_length=10,
                    ),
                ),
                ("body", models.JSONField()),
                (
                    "drafted_by",
                    crm_site.lib.tenancy.BankForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "proposed_by",
                    crm_site.lib.tenancy.BankForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "published_by",
                    crm_site.lib.tenancy.BankForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-version"],
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("bank_id", "subject", "kind", "version"), name="creditpolicy_version"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ("draft", "proposed"))),
                        fields=("bank_id", "subject", "kind"),
                        name="creditpolicy_one_open",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "published")),
                        fields=("bank_id", "subject", "kind", "valid_from"),
                        name="creditpolicy_one_a_day",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("founding", True),
                            ("status", "draft"),
                            models.Q(("proposed_by__isnull", False), ("status", "proposed")),
                            models.Q(
                                ("proposed_by__isnull", False),
                                ("published_by__isnull", False),
                                models.Q(("published_by", models.F("proposed_by")), _negated=True),
                                models.Q(("published_by", models.F("drafted_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="creditpolicy_second_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ("draft", "proposed")),
                            ("valid_from__isnull", False),
                            _connector="OR",
                        ),
                        name="creditpolicy_dated",
                    ),
                ],
            },
        ),
    ]
