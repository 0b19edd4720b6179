import crm_site.lib.tenancy
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


GUARD = """
CREATE TRIGGER creditpolicy_withdrawal BEFORE UPDATE OF status ON credit_rating_creditpolicy
    FOR EACH ROW WHEN (NEW.status = 'withdrawn' OR OLD.status = 'withdrawn')
    EXECUTE FUNCTION accounts_version_withdrawal('credit_rating_rating', 'grade_policy_id', 'credit_rating_loanclass', 'policy_id', 'credit_rating_signal', 'policy_id');
CREATE TRIGGER scorecard_withdrawal BEFORE UPDATE OF status ON credit_rating_scorecard
    FOR EACH ROW WHEN (NEW.status = 'withdrawn' OR OLD.status = 'withdrawn')
    EXECUTE FUNCTION accounts_version_withdrawal('credit_rating_rating', 'scorecard_id');
"""
UNGUARD = """
DROP TRIGGER creditpolicy_withdrawal ON credit_rating_creditpolicy;
DROP TRIGGER scorecard_withdrawal ON credit_rating_scorecard;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0010_version_withdrawal'),
        ('credit_rating', '0100_trials'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='creditpolicy',
            name='withdrawal_reason',
            field=models.CharField(blank=True, max_length=400),
        ),
        migrations.AddField(
            model_name='creditpolicy',
            name='withdrawn_by',
            field=crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='creditpolicy',
            name='withdrawn_on',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='scorecard',
            name='ground',
            field=models.CharField(blank=True, max_length=400),
        ),
        migrations.AddField(
            model_name='scorecard',
            name='withdrawal_reason',
            field=models.CharField(blank=True, max_length=400),
        ),
        migrations.AddField(
            model_name='scorecard',
            name='withdrawn_by',
            field=crm_site.lib.tenancy.BankForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='scorecard',
            name='withdrawn_on',
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name='creditpolicy',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('proposed', 'Proposed'), ('published', 'Published'), ('retired', 'Retired'), ('withdrawn', 'Withdrawn')], default='draft', max_length=10),
        ),
        migrations.AlterField(
            model_name='scorecard',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('proposed', 'Proposed'), ('published', 'Published'), ('retired', 'Retired'), ('withdrawn', 'Withdrawn')], default='draft', max_length=10),
        ),
        migrations.AddConstraint(
            model_name='creditpolicy',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('withdrawn_by__isnull', True), ('withdrawn_on__isnull', True), models.Q(('status', 'withdrawn'), _negated=True)), models.Q(('founding', False), ('status', 'withdrawn'), ('withdrawn_by__isnull', False), ('withdrawn_on__lt', models.F('valid_from')), models.Q(('withdrawal_reason', ''), _negated=True)), _connector='OR'), name='creditpolicy_withdrawn'),
        ),
        migrations.AddConstraint(
            model_name='scorecard',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('withdrawn_by__isnull', True), ('withdrawn_on__isnull', True), models.Q(('status', 'withdrawn'), _negated=True)), models.Q(('founding', False), ('status', 'withdrawn'), ('withdrawn_by__isnull', False), ('withdrawn_on__lt', models.F('valid_from')), models.Q(('withdrawal_reason', ''), _negated=True)), _connector='OR'), name='scorecard_withdrawn'),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
