import crm_site.lib.tenancy
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


GUARD = """
CREATE TRIGGER tierpolicy_withdrawal BEFORE UPDATE OF status ON segmentation_tierpolicy
    FOR EACH ROW WHEN (NEW.status = 'withdrawn' OR OLD.status = 'withdrawn')
    EXECUTE FUNCTION accounts_version_withdrawal('segmentation_tierhistory', 'policy_id');
"""
UNGUARD = """
DROP TRIGGER tierpolicy_withdrawal ON segmentation_tierpolicy;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0010_version_withdrawal'),
        ('segmentation', '0022_scores_keys'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='tierpolicy',
            name='withdrawal_reason',
            field=models.CharField(blank=True, max_length=400),
        ),
        migrations.AddField(
            model_name='tierpolicy',
            name='withdrawn_by',
            field=crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='tierpolicy',
            name='withdrawn_on',
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name='tierpolicy',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('proposed', 'Proposed'), ('published', 'Published'), ('retired', 'Retired'), ('withdrawn', 'Withdrawn')], default='draft', max_length=10),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('withdrawn_by__isnull', True), ('withdrawn_on__isnull', True), models.Q(('status', 'withdrawn'), _negated=True)), models.Q(('founding', False), ('status', 'withdrawn'), ('withdrawn_by__isnull', False), ('withdrawn_on__lt', models.F('valid_from')), models.Q(('withdrawal_reason', ''), _negated=True)), _connector='OR'), name='tierpolicy_withdrawn'),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
