import crm_site.lib.money
import crm_site.lib.tenancy
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# A saved calculation is what an approval was given on: only the owner, who removes a whole bank, may take rows away.
KEEP = """
CREATE FUNCTION credit_rating_keep() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER linecalculation_keep BEFORE UPDATE OR DELETE ON credit_rating_linecalculation
    FOR EACH ROW EXECUTE FUNCTION credit_rating_keep();
"""
UNKEEP = """
DROP TRIGGER linecalculation_keep ON credit_rating_linecalculation;
DROP FUNCTION credit_rating_keep();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('credit_rating', '0011_lean_lines'),
        ('customers', '0021_lean_standing'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Collateral',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('asset_type', models.CharField(choices=[('residence', 'Dwelling'), ('shop', 'Shop or office'), ('factory', 'Factory building'), ('land_use', 'Land use right'), ('farm_land', 'Right to farm land'), ('forest', 'Forest right'), ('equipment', 'Machinery'), ('vehicle', 'Vehicle'), ('livestock', 'Livestock'), ('stock', 'Inventory'), ('deposit', 'Deposit certificate'), ('treasury_bond', 'Treasury bond'), ('bank_bill', 'Bank acceptance bill'), ('receivable', 'Receivables'), ('shares', 'Shares'), ('patent', 'Intellectual property')], max_length=16)),
                ('registration_number', models.CharField(max_length=80)),
                ('object_key', models.CharField(max_length=80)),
                ('name', models.CharField(max_length=160)),
                ('owner_name', models.CharField(blank=True, max_length=160)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'object_key'), name='collateral_object'), models.CheckConstraint(condition=models.Q(('object_key', ''), _negated=True), name='collateral_has_key')],
            },
        ),
        migrations.CreateModel(
            name='BankCapital',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('as_of', models.DateField()),
                ('net_capital', crm_site.lib.money.MoneyField()),
                ('tier1_net_capital', crm_site.lib.money.MoneyField()),
                ('source', models.CharField(max_length=160)),
                ('entered_at', models.DateTimeField()),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-as_of'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'as_of'), name='bankcapital_date')],
            },
        ),
        migrations.CreateModel(
            name='Guarantee',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('kind', models.CharField(choices=[('credit', 'Unsecured'), ('guarantor', 'Guaranty'), ('mortgage', 'Mortgage'), ('pledge', 'Pledge')], max_length=10)),
                ('amount', crm_site.lib.money.MoneyField()),
                ('lien_order', models.PositiveSmallIntegerField(default=1)),
                ('prior_liens', crm_site.lib.money.MoneyField(default=0)),
                ('is_joint', models.BooleanField(default=True)),
                ('status', models.CharField(choices=[('proposed', 'Proposed'), ('active', 'In force'), ('released', 'Released')], default='proposed', max_length=10)),
                ('from_date', models.DateField()),
                ('to_date', models.DateField(blank=True, null=True)),
                ('note', models.CharField(blank=True, max_length=400)),
                ('entered_at', models.DateTimeField()),
                ('released_at', models.DateTimeField(null=True)),
                ('collateral', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='guarantees', to='credit_rating.collateral')),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='guarantees', to='customers.customer')),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('guarantor', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='guarantees_given', to='customers.customer')),
            ],
            options={
                'ordering': ['id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('collateral__isnull', False), ('status__in', ('proposed', 'active'))), fields=('bank_id', 'collateral', 'lien_order'), name='guarantee_one_rank'), models.UniqueConstraint(condition=models.Q(('guarantor__isnull', False), ('status__in', ('proposed', 'active'))), fields=('bank_id', 'guarantor', 'customer'), name='guarantee_one_promise'), models.CheckConstraint(condition=models.Q(models.Q(('collateral__isnull', False), ('guarantor__isnull', True), ('kind__in', ('mortgage', 'pledge'))), models.Q(('collateral__isnull', True), ('guarantor__isnull', False), ('kind', 'guarantor')), models.Q(('collateral__isnull', True), ('guarantor__isnull', True), ('kind', 'credit')), _connector='OR'), name='guarantee_of_something'), models.CheckConstraint(condition=models.Q(('guarantor__isnull', True), models.Q(('guarantor', models.F('customer')), _negated=True), _connector='OR'), name='guarantee_not_for_oneself'), models.CheckConstraint(condition=models.Q(('to_date__isnull', True), ('to_date__gte', models.F('from_date')), _connector='OR'), name='guarantee_ends_later')],
            },
        ),
        migrations.CreateModel(
            name='GuarantorCapacity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('capacity', crm_site.lib.money.MoneyField()),
                ('assessed_on', models.DateField()),
                ('basis', models.CharField(max_length=160)),
                ('entered_at', models.DateTimeField()),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('guarantor', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='guarantee_capacities', to='customers.customer')),
            ],
            options={
                'ordering': ['-assessed_on', '-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['bank_id', 'guarantor', 'assessed_on'], name='guarantorcapacity_newest')],
            },
        ),
        migrations.CreateModel(
            name='InformationForm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('kind', models.CharField(choices=[('corporate', 'Corporate'), ('sme', 'Small business'), ('personal', 'Personal'), ('household', 'Rural household')], max_length=10)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted')], default='draft', max_length=10)),
                ('values', models.JSONField(default=dict)),
                ('revision', models.PositiveIntegerField(default=0)),
                ('completeness_pct', models.PositiveSmallIntegerField(default=0)),
                ('started_at', models.DateTimeField()),
                ('saved_at', models.DateTimeField()),
                ('submitted_at', models.DateTimeField(null=True)),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='information_forms', to='customers.customer')),
                ('started_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('submitted_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'draft')), fields=('bank_id', 'customer'), name='informationform_one_draft'), models.CheckConstraint(condition=models.Q(('status', 'draft'), ('submitted_at__isnull', False), _connector='OR'), name='informationform_submitted')],
            },
        ),
        migrations.CreateModel(
            name='LineCalculation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('kind', models.CharField(choices=[('corporate', 'Corporate'), ('sme', 'Small business'), ('personal', 'Personal'), ('household', 'Rural household')], max_length=10)),
                ('number', models.CharField(max_length=24)),
                ('as_of', models.DateField()),
                ('grade', models.CharField(max_length=3)),
                ('term_months', models.PositiveSmallIntegerField()),
                ('requested', crm_site.lib.money.MoneyField()),
                ('limit', crm_site.lib.money.MoneyField()),
                ('rate_bp', models.PositiveIntegerField(null=True)),
                ('content', models.JSONField()),
                ('content_hash', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField()),
                ('created_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='line_calculations', to='customers.customer')),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['bank_id', 'customer', 'id'], name='linecalculation_customer')],
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'number'), name='linecalculation_number')],
            },
        ),
        migrations.CreateModel(
            name='RelatedParty',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('kind', models.CharField(choices=[('shareholder', 'Major shareholder'), ('controlled', 'Company of a related party'), ('director', 'Director or supervisor'), ('manager', 'Senior manager'), ('credit_staff', 'Takes part in lending decisions'), ('relative', 'Close relative of an insider')], max_length=14)),
                ('basis', models.CharField(max_length=240)),
                ('from_date', models.DateField()),
                ('to_date', models.DateField(blank=True, null=True)),
                ('entered_at', models.DateTimeField()),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='related_party_entries', to='customers.customer')),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-from_date', '-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'customer', 'kind', 'from_date'), name='relatedparty_once'), models.CheckConstraint(condition=models.Q(('to_date__isnull', True), ('to_date__gte', models.F('from_date')), _connector='OR'), name='relatedparty_ends_later')],
            },
        ),
        migrations.CreateModel(
            name='Statement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('year', models.PositiveSmallIntegerField()),
                ('report_date', models.DateField()),
                ('is_audited', models.BooleanField(default=False)),
                ('auditor', models.CharField(blank=True, max_length=120)),
                ('figures', models.JSONField(default=dict)),
                ('explanation', models.CharField(blank=True, max_length=400)),
                ('source', models.CharField(choices=[('typed', 'Typed in'), ('upload', 'Uploaded file'), ('feed', 'Core data')], default='typed', max_length=8)),
                ('entered_at', models.DateTimeField()),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='statements', to='customers.customer')),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-year'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'customer', 'year'), name='statement_year')],
            },
        ),
        migrations.CreateModel(
            name='Valuation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('value', crm_site.lib.money.MoneyField()),
                ('valued_on', models.DateField()),
                ('valuer', models.CharField(max_length=120)),
                ('entered_at', models.DateTimeField()),
                ('collateral', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='valuations', to='credit_rating.collateral')),
                ('entered_by', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-valued_on', '-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['bank_id', 'collateral', 'valued_on'], name='valuation_newest')],
            },
        ),
        migrations.RunSQL(KEEP, UNKEEP),
    ]
