"""Every setting, from the environment. `docs/reference/settings.md` is made from what is declared here."""

import re
import sys

from celery.schedules import crontab

from backend.config import env
from backend.policy.contact import MOST_PER_DAY

DEMO_MARK = ".accord-demo"
BASE_DIR = env.BASE_DIR

# Where it runs
ACCORD_DATA_DIR = env.made_folder(env.data_folder())
DEBUG = env.flag(
    "DEBUG", default=False, meaning="Show error pages with details. Never on a machine with patients' data."
)
ACCORD_PUBLIC_URL = env.url(
    "PUBLIC_URL",
    default="http://127.0.0.1:8000",
    schemes=("http", "https"),
    meaning="The address under which patients and staff reach this installation.",
)
ACCORD_CLOCK_OFFSET = float(
    env.whole(
        "CLOCK_OFFSET",
        default=0,
        at_least=-10_000_000_000,
        meaning="Seconds that the clock is moved by. For the demo only: refused unless the data folder is a demo's.",
    )
)
if ACCORD_CLOCK_OFFSET and not (ACCORD_DATA_DIR / DEMO_MARK).exists():
    raise env.SettingRefused("ACCORD_CLOCK_OFFSET is for the demo: this data folder is not a demo's.")
ACCORD_PORT = env.port()
ALLOWED_HOSTS = env.listed(
    "ALLOWED_HOSTS", default=("127.0.0.1", "localhost", "[::1]"), meaning="Host names that are answered."
)
SECRET_KEY = env.text(
    "SECRET_KEY",
    meaning="Signs short-lived things such as form tokens; protects no patient data. Fifty random characters.",
    shown="made at first start, in the data folder",
) or env.kept_secret(ACCORD_DATA_DIR / "secret-key")
if len(SECRET_KEY) < env.SHORTEST_SECRET:
    raise env.SettingRefused(f"ACCORD_SECRET_KEY must have {env.SHORTEST_SECRET} characters or more; fifty are better.")
ACCORD_SECURE = ACCORD_PUBLIC_URL.startswith("https://")

# Database, broker
DATABASES = {
    "default": dict(
        env.database(
            env.url(
                "DATABASE_URL",
                schemes=("postgres", "postgresql", "sqlite"),
                meaning="The database. Unset: SQLite in the data folder.",
                shown="SQLite in the data folder",
            ),
            data_dir=ACCORD_DATA_DIR,
        )
    )
}
if _sequencer := env.url(
    "SEQUENCER_DATABASE_URL",
    schemes=("postgres", "postgresql"),
    meaning="The same PostgreSQL database with the user that writes the log's tree. Unset: ACCORD_DATABASE_URL's does.",
    shown="ACCORD_DATABASE_URL",
):
    DATABASES["sequencer"] = dict(env.sequencer_database(_sequencer, default=DATABASES["default"]))
ACCORD_REQUIRE_ROLES = env.flag(
    "REQUIRE_ROLES",
    default=False,
    meaning="Refuse to start with a PostgreSQL role that may do more than it needs; no: only warn. See grant_roles.",
)
ACCORD_BROKER_URL = env.url(
    "BROKER_URL",
    schemes=("redis", "rediss", "amqp", "amqps", "filesystem", "memory"),
    meaning="Celery's broker; it carries wake-ups only. Unset: files in the data folder, no server needed.",
    shown="files in the data folder",
)

# Keys
ACCORD_KEY_PROVIDER = env.choice(
    "KEY_PROVIDER",
    default="file",
    among=("file", "vault"),
    meaning="Where the topmost key is kept: in a file, or in HashiCorp Vault's transit engine (or OpenBao's).",
)
ACCORD_KEY_FILE = env.folder(
    "KEY_FILE",
    default=ACCORD_DATA_DIR / "keys" / "root.key",
    shown="keys/root.key in the data folder",
    meaning="The key file of the `file` provider: 32 bytes, mode 0400. Back it up apart from the database.",
)
ACCORD_VAULT_URL = env.url(
    "VAULT_URL",
    schemes=("http", "https"),
    meaning="Vault's address, for the `vault` provider: https://host:8200 (http on this machine only).",
)
ACCORD_VAULT_TOKEN = env.text(
    "VAULT_TOKEN", meaning="The token with which Vault is asked; it needs no more than docs/how-to/rotate-keys.md says."
)
ACCORD_VAULT_KEY = env.text("VAULT_KEY", default="accord", meaning="The name of the key in Vault.")
ACCORD_VAULT_MOUNT = env.text("VAULT_MOUNT", default="transit", meaning="Where Vault's transit engine is mounted.")
ACCORD_VAULT_NAMESPACE = env.text("VAULT_NAMESPACE", meaning="The namespace in Vault. Unset: none.")
ACCORD_DESTROYED_KEYS_FILE = env.folder(
    "DESTROYED_KEYS_FILE",
    default=ACCORD_DATA_DIR / "destroyed-keys",
    shown="destroyed-keys in the data folder",
    meaning="The ledger of destroyed keys, outside of the database: what a restored backup must not bring back.",
)

# The log
ACCORD_CHECKPOINT_DIR = env.folder(
    "CHECKPOINT_DIR",
    default=ACCORD_DATA_DIR / "checkpoints",
    shown="checkpoints in the data folder",
    meaning="Where the last signed checkpoint of each log is remembered, outside of the database.",
)
ACCORD_ANCHOR_DIR = env.text(
    "ANCHOR_DIR",
    meaning="A folder of the data protection officer, where the checkpoints of all logs are put once a day.",
)
ACCORD_ANCHOR_EMAIL = env.text(
    "ANCHOR_EMAIL",
    meaning="A mailbox of the data protection officer, to which the checkpoints of all logs are sent once a day.",
)

# Carriers
ACCORD_EMAIL_URL = env.url(
    "EMAIL_URL",
    schemes=("smtp",),
    meaning="The SMTP server: smtp://user:secret@host:587?tls=starttls (tls: none, starttls, implicit).",
)
ACCORD_EMAIL_FROM = env.text("EMAIL_FROM", default="no-reply@accord.example", meaning="The sender address of e-mails.")
ACCORD_EMAIL_BOUNCES = env.text(
    "EMAIL_BOUNCES",
    meaning="A mailbox of its own, with `+` addresses, that undelivered e-mail comes back to. Unset: EMAIL_FROM.",
)
ACCORD_EMAIL_BOUNCE_FOLDER = env.text(
    "EMAIL_BOUNCE_FOLDER",
    meaning="The Maildir of that mailbox, read once a minute. Unset: see `manage.py read_bounce`.",
)
ACCORD_TWILIO_API_URL = env.url(
    "TWILIO_API_URL",
    default="https://api.twilio.com",
    schemes=("http", "https"),
    meaning="The Twilio API, or what speaks like it.",
)
ACCORD_TWILIO_ACCOUNT_SID = env.text("TWILIO_ACCOUNT_SID", meaning="Twilio's account; unset: no SMS.")
ACCORD_TWILIO_AUTH_TOKEN = env.text("TWILIO_AUTH_TOKEN", meaning="Twilio's secret.")
ACCORD_TWILIO_FROM = env.text(
    "TWILIO_FROM", default="Accord", meaning="Sender of SMS: a number or up to 11 characters."
)
ACCORD_TWILIO_HOOK_KEY = env.text(
    "TWILIO_HOOK_KEY",
    meaning="The secret part of the addresses that Twilio calls, 16 characters or more. Unset: no such address.",
)
if ACCORD_TWILIO_HOOK_KEY and not re.fullmatch(r"[A-Za-z0-9_-]{16,80}", ACCORD_TWILIO_HOOK_KEY):
    raise env.SettingRefused("ACCORD_TWILIO_HOOK_KEY has 16 to 80 characters, each a letter, a digit, - or _.")
ACCORD_FCM_API_URL = env.url(
    "FCM_API_URL",
    default="https://fcm.googleapis.com",
    schemes=("http", "https"),
    meaning="The Firebase Cloud Messaging API, or what speaks like it.",
)
ACCORD_FCM_CREDENTIALS = env.text("FCM_CREDENTIALS", meaning="Path of the service-account file; unset: no push.")
ACCORD_BATCH_SIZE = env.whole("BATCH_SIZE", default=50, at_least=1, meaning="Messages a worker takes up at once.")
ACCORD_MOST_PER_DAY = env.whole(
    "MOST_PER_DAY",
    default=MOST_PER_DAY,
    at_least=1,
    meaning="Messages that may reach one patient in any 24 hours, whatever programmes say.",
)
ACCORD_LEASE_SECONDS = env.whole(
    "LEASE_SECONDS", default=30, at_least=3, meaning="How long a worker may hold what it took up."
)
ACCORD_CALL_SECONDS = env.call_seconds()
ACCORD_JOURNAL_DIR = env.folder(
    "JOURNAL_DIR",
    default=ACCORD_DATA_DIR / "journals",
    shown="journals in the data folder",
    meaning="Where a worker writes down what is in the air, on its own disk, should it be killed. Ids and codes only.",
)
ACCORD_TICK_SECONDS = env.whole(
    "TICK_SECONDS", default=10, at_least=1, meaning="Seconds between two looks for due messages."
)

# Celery: rows are the queue, the broker carries wake-ups. A wake-up that comes late is worth nothing, so it expires.
ACCORD_BROKER_DIR = ACCORD_DATA_DIR / "broker"
CELERY_BROKER_URL = ACCORD_BROKER_URL or "filesystem://localhost//"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if ACCORD_BROKER_URL
    else {
        "data_folder_in": str(ACCORD_BROKER_DIR / "queue"),
        "data_folder_out": str(ACCORD_BROKER_DIR / "queue"),
        "control_folder": str(ACCORD_BROKER_DIR / "control"),
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "ticks"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": float(seconds), "options": {"expires": float(seconds)}}
    for name, task, seconds in (
        ("deliver", "backend.messaging.tasks.deliver_due_messages", ACCORD_TICK_SECONDS),
        ("checks", "backend.messaging.tasks.plan_checks", min(5, ACCORD_TICK_SECONDS)),
        ("reconcile", "backend.messaging.tasks.reconcile_attempts", 30),
        ("plan", "backend.programmes.tasks.plan_programmes", 300),
        ("consents", "backend.consent.tasks.end_consents", 300),
        ("devices", "backend.patients.tasks.end_old_devices", 3600),
        ("renewals", "backend.messaging.tasks.plan_renewals", 3600),
        ("sequence", "backend.audit.tasks.sequence_audit_log", 2),
        ("watch", "backend.audit.tasks.watch_audit_log", 60),
        ("anchor", "backend.audit.tasks.anchor_audit_log", 3600),
    )
}
if ACCORD_EMAIL_BOUNCE_FOLDER:
    CELERY_BEAT_SCHEDULE["bounces"] = {
        "task": "backend.messaging.tasks.read_bounce_folder",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    }
# At night, on the clinic's side of the world: it reads the whole log.
CELERY_BEAT_SCHEDULE["check"] = {
    "task": "backend.audit.tasks.check_audit_log",
    "schedule": crontab(hour="3", minute="17"),
    "options": {"expires": 3600.0},
}

# Django
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "backend.config.apps.AccordConfig",
    "backend.audit.apps.AuditConfig",
    "backend.attempts",
    "backend.accounts",
    "backend.clinics",
    "backend.patients",
    "backend.consent",
    "backend.preferences",
    "backend.messaging",
    "backend.programmes",
    "backend.api",
    "backend.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "backend.api.requests.RequestIdMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "backend.config.urls"
WSGI_APPLICATION = "backend.config.wsgi.application"
AUTH_USER_MODEL = "accounts.Account"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
USE_TZ = True
TIME_ZONE = "Europe/Paris"
LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français"), ("en", "English")]
STATIC_URL = "static/"
# Collected in the image. Elsewhere the finders serve them as they lie, and a missing folder would be a warning.
_COLLECTED = BASE_DIR / "static-collected"
STATIC_ROOT = _COLLECTED if "collectstatic" in sys.argv or _COLLECTED.is_dir() else None
WHITENOISE_USE_FINDERS = True
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# API
ACCORD_REQUESTS_PER_MINUTE = env.whole(
    "REQUESTS_PER_MINUTE", default=600, at_least=1, meaning="Requests that one access token may make in a minute."
)
ACCORD_REQUESTS_WITHOUT_TOKEN = env.whole(
    "REQUESTS_WITHOUT_TOKEN",
    default=60,
    at_least=1,
    meaning="Requests without a good token that one address may make in a minute.",
)
ACCORD_PROXIES = env.whole(
    "PROXIES", default=0, meaning="How many proxies stand in front, each adding to X-Forwarded-For. 0: it is not read."
)
ACCORD_BUNDLE_MAX_BYTES = env.whole(
    "BUNDLE_MAX_BYTES", default=16 * 1024 * 1024, at_least=1024, meaning="The largest FHIR bundle that is taken."
)
ACCORD_SANDBOX_INBOX_URL = env.url(
    "SANDBOX_INBOX_URL",
    schemes=("http", "https"),
    meaning="Where the sandbox shows what it caught; the start page links to it. Unset: no link.",
)

# Headers
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = ACCORD_SECURE
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_HSTS_SECONDS = 31_536_000 if ACCORD_SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ACCORD_SECURE
SECURE_HSTS_PRELOAD = ACCORD_SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ACCORD_SECURE else None
SESSION_COOKIE_SECURE = ACCORD_SECURE
CSRF_COOKIE_SECURE = ACCORD_SECURE
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}
PERMISSIONS_POLICY: dict[str, list[str]] = {"camera": [], "geolocation": [], "microphone": [], "payment": [], "usb": []}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["backend.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["backend.api.permissions.DenyAll"],
    "DEFAULT_PARSER_CLASSES": ["backend.api.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "backend.api.schema.Described",
    "EXCEPTION_HANDLER": "backend.api.problems.handle",
    "DEFAULT_THROTTLE_CLASSES": ["backend.api.throttling.PerToken", "backend.api.throttling.PerAddress"],
    "DEFAULT_THROTTLE_RATES": {
        "token": f"{ACCORD_REQUESTS_PER_MINUTE}/minute",
        "address": f"{ACCORD_REQUESTS_WITHOUT_TOKEN}/minute",
    },
    "NUM_PROXIES": ACCORD_PROXIES,
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_METADATA_CLASS": None,
    "DATETIME_FORMAT": "iso-8601",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Accord",
    "DESCRIPTION": (
        "Clinics keep in touch with their patients, only where the patient said yes.\n\n"
        "Every request shows a token: `Authorization: Bearer <token>`. A token belongs to one patient, or to one "
        "member of one clinic's staff; whatever lies outside of it looks as if it did not exist. Errors are RFC 9457 "
        "problem details with a stable `code`. Sentences are French or English, by `?language=` or `Accept-Language`."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "SERVERS": [{"url": "/", "description": "This installation."}],
    "TAGS": [
        {"name": "me", "description": "The patient: who the clinic says they are, and where they can be reached."},
        {"name": "consent", "description": "What a patient said of each purpose on each channel."},
        {"name": "represented", "description": "The same, for who represents a patient."},
        {"name": "preferences", "description": "How a patient wants to be contacted, where they consented."},
        {"name": "messages", "description": "What was sent and what was not, and why."},
        {"name": "clinic", "description": "The clinic and its purposes."},
        {"name": "patients", "description": "Patients, their contact points and occasions; import."},
        {"name": "programmes", "description": "What is sent around which occasion, in which words."},
        {"name": "log", "description": "The audit log, for the data protection officer."},
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "Channel": "backend.api.schema.CHANNEL",
        "Tone": "backend.api.schema.TONE",
        "Language": "backend.api.schema.LANGUAGES",
        "Decision": "backend.api.schema.DECISION",
        "Decided": "backend.api.schema.DECIDED",
        "Method": "backend.api.schema.METHOD",
        "StaffMethod": "backend.api.schema.STAFF_METHOD",
        "ObjectingMethod": "backend.api.schema.OBJECTING_METHOD",
        "EventKind": "backend.api.schema.EVENT_KIND",
        "ObjectionScope": "backend.api.schema.OBJECTION_SCOPE",
        "RestrictionGround": "backend.api.schema.RESTRICTION_GROUND",
        "RepresentationKind": "backend.api.schema.REPRESENTATION_KIND",
        "RepresentationScope": "backend.api.schema.REPRESENTATION_SCOPE",
        "AskingKind": "backend.api.schema.ASKING_KIND",
        "ErasureGround": "backend.api.schema.ERASURE_GROUND",
        "Stays": "backend.api.schema.STAYS",
        "LiftingReason": "backend.api.schema.LIFTING_REASON",
        "SuppressionLiftingReason": "backend.api.schema.SUPPRESSION_LIFTING_REASON",
        "Materiality": "backend.api.schema.MATERIALITY",
        "ConsentState": "backend.api.schema.CONSENT_STATE",
        "Audience": "backend.api.schema.AUDIENCE",
        "NoticeElement": "backend.api.schema.NOTICE_ELEMENT",
        "OwnDataPart": "backend.api.schema.OWN_DATA_PART",
        "SpeakerRole": "backend.api.schema.SPEAKER",
        "Writer": "backend.api.schema.WRITER",
        "MessageState": "backend.api.schema.MESSAGE_STATE",
        "ProgrammeState": "backend.api.schema.PROGRAMME_STATE",
        "ContactStatus": "backend.api.schema.CONTACT_STATUS",
        "ReasonCode": "backend.api.schema.REASON",
        "RemedyCode": "backend.api.schema.REMEDY",
        "AddressKind": "backend.api.schema.ADDRESS_KIND",
        "DeviceKind": "backend.api.schema.DEVICE_KIND",
        "OccasionKind": "backend.api.schema.OCCASION_KIND",
        "CountedKind": "backend.api.schema.COUNTED_KIND",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "backend.api.schema.no_nullable",
        "backend.api.schema.no_unknown_fields",
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"without_host": {"()": "backend.api.log_lines.WithoutHost"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "accord": {"level": "INFO"},
        "django.security.DisallowedHost": {"filters": ["without_host"]},
        # Django's request logger writes the path of a failed request: paths hold ids only, never personal data.
        "django.request": {"level": "ERROR"},
    },
}
