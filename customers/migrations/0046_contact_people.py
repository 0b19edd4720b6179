"""Contact persons of corporate customers."""

import crm_site.lib.tenancy
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0045_product_customer_kinds'),
    ]

    operations = [
        migrations.CreateModel(
            name='ContactPerson',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_id', crm_site.lib.tenancy.BankField(editable=False)),
                ('name', models.CharField(max_length=80)),
                ('post', models.CharField(choices=[('legal_representative', 'Legal representative'), ('actual_controller', 'Actual controller'), ('chair', 'Chair of the board'), ('general_manager', 'General manager'), ('finance_director', 'Finance director'), ('other', 'Another post')], max_length=20)),
                ('title', models.CharField(blank=True, max_length=60)),
                ('roles', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('decider', 'Decider'), ('approver', 'Approver'), ('influencer', 'Influencer'), ('buyer', 'Buyer'), ('user', 'User'), ('gatekeeper', 'Gatekeeper')], max_length=10), blank=True, default=list, size=None)),
                ('phone', models.BinaryField(null=True)),
                ('phone_masked', models.CharField(blank=True, max_length=40)),
                ('from_date', models.DateField(blank=True, null=True)),
                ('left_date', models.DateField(blank=True, null=True)),
                ('left_reason', models.CharField(blank=True, choices=[('left', 'Left the company'), ('moved', 'Took another post there'), ('retired', 'Retired'), ('other', 'For another reason'), ('mistake', 'Was entered by mistake')], max_length=8)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('submission', models.UUIDField()),
                ('customer', crm_site.lib.tenancy.BankForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='people', to='customers.customer')),
                ('party', crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='customers.customer')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('bank_id', 'submission'), name='contactperson_once'), models.UniqueConstraint(condition=models.Q(('left_date__isnull', True), ('post', 'legal_representative')), fields=('bank_id', 'customer'), name='contactperson_one_legal_representative'), models.CheckConstraint(condition=models.Q(models.Q(('left_date__isnull', True), ('left_reason', '')), models.Q(('left_date__isnull', False), models.Q(('left_reason', ''), _negated=True)), _connector='OR'), name='contactperson_left')],
            },
        ),
    ]
