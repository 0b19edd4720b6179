"""Churn models, and the scores they give, partitioned by month."""

import crm_site.lib.tenancy
from crm_site.lib.postgres.migrations import CreatePartitionedTable
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('segmentation', '0003_migration_of_the_running_month'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ChurnScore',
            fields=[
                ('pk', models.CompositePrimaryKey('bank_id', 'as_of', 'customer_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('as_of', models.DateField()),
                ('score_bp', models.IntegerField()),
                ('reason_1', models.SmallIntegerField()),
                ('value_1', models.FloatField()),
                ('reason_2', models.SmallIntegerField()),
                ('value_2', models.FloatField()),
                ('reason_3', models.SmallIntegerField()),
                ('value_3', models.FloatField()),
                ('run_id', models.BigIntegerField(null=True)),
            ],
            options={
                'db_table': 'segmentation_churnscore',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='ChurnModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('kind', models.CharField(blank=True, choices=[('personal', 'Personal'), ('corporate', 'Corporate'), ('household', 'Rural household')], max_length=10)),
                ('version', models.PositiveIntegerField()),
                ('status', models.CharField(choices=[('insufficient', 'Too few leavers'), ('trained', 'Trained'), ('proposed', 'Proposed'), ('champion', 'Champion'), ('retired', 'Retired'), ('rejected', 'Rejected')], default='trained', max_length=12)),
                ('card', models.JSONField(default=dict)),
                ('train_months', django.contrib.postgres.fields.ArrayField(base_field=models.DateField(), size=None)),
                ('validation_month', models.DateField()),
                ('train_rows', models.IntegerField()),
                ('train_leavers', models.IntegerField()),
                ('validation_rows', models.IntegerField()),
                ('validation_leavers', models.IntegerField()),
                ('auc', models.FloatField(null=True)),
                ('ks', models.FloatField(null=True)),
                ('lift', models.FloatField(null=True)),
                ('psi', models.FloatField(null=True)),
                ('calibration', models.JSONField(default=list)),
                ('drift', models.FloatField(null=True)),
                ('drift_date', models.DateField(null=True)),
                ('trained_at', models.DateTimeField()),
                ('run_id', models.BigIntegerField(null=True)),
                ('proposed_at', models.DateTimeField(null=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposed_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'kind', 'version'), name='churnmodel_version'), models.UniqueConstraint(condition=models.Q(('status', 'champion')), fields=('bank_id', 'kind'), name='churnmodel_one_champion'), models.CheckConstraint(condition=models.Q(('status__in', ('insufficient', 'trained')), models.Q(('proposed_by__isnull', False), ('status', 'proposed')), models.Q(('decided_by__isnull', False), ('status', 'rejected')), models.Q(('decided_by__isnull', False), ('proposed_by__isnull', False), models.Q(('decided_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='churnmodel_second_person')],
            },
        ),
        CreatePartitionedTable(
            "segmentation_churnscore",
            by="as_of",
            columns=(
                "bank_id bigint NOT NULL, as_of date NOT NULL, customer_id bigint NOT NULL, model_id bigint NOT NULL, "
                "score_bp integer NOT NULL, reason_1 smallint NOT NULL, value_1 double precision NOT NULL, "
                "reason_2 smallint NOT NULL, value_2 double precision NOT NULL, reason_3 smallint NOT NULL, "
                "value_3 double precision NOT NULL, run_id bigint"
            ),
            keys=[
                "PRIMARY KEY (bank_id, as_of, customer_id)",
                "FOREIGN KEY (bank_id, customer_id) REFERENCES customers_customer (bank_id, id)",
            ],
            indexes=["bank_id, customer_id, as_of"],
        ),
    ]
