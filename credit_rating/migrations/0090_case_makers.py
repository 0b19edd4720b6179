from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credit_rating', '0086_case_sub_limits'),
    ]

    operations = [
        migrations.AlterField(
            model_name='casemaker',
            name='part',
            field=models.CharField(choices=[('case', 'Approval case'), ('calculation', 'Line calculation'), ('rating', 'Credit rating'), ('statement', 'Statements'), ('collection', 'Collection form'), ('guarantee', 'Guarantee'), ('valuation', 'Valuation'), ('capacity', "Guarantor's capacity"), ('file', 'File')], max_length=12),
        ),
    ]
