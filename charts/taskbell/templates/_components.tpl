{{/*
The services that run all the time, as data: what their Deployments, Services, budgets and policies are made from.
role: the database's role. reaches: what it may connect to. stop: seconds that an orderly end takes after preStop.
`env --block-signal=TERM`: the first process of a container ignores SIGTERM until it handles it; blocked, it waits.
*/}}
{{- define "taskbell.components" -}}
{{- $database := ternary "database, pgbouncer" "database" .Values.pgbouncer.enabled }}
{{- $any := ternary "::" "0.0.0.0" .Values.ipv6 }}
api:
  image: api
  command: [env, --block-signal=TERM, python, -m, taskbell.api, --host, {{ $any | quote }}, --port, "8000"]
  port: 8000
  role: api
  public: true
  preStop: 5
  stop: 15
  reaches: [{{ $database }}, nats{{ if .Values.api.oidc.existingSecret.name }}, oidc{{ end }}]
relay:
  image: relay
  command: [env, --block-signal=TERM, python, -m, taskbell.relay, --host, {{ $any | quote }}, --port, "8002"]
  port: 8002
  role: relay
  public: false
  preStop: 0
  stop: 10
  reaches: [database, nats]
gateway:
  image: gateway
  command: [env, --block-signal=TERM, python, -m, taskbell.gateway, --host, {{ $any | quote }}, --port, "8001"]
  port: 8001
  role: gateway
  public: true
  preStop: 5
  stop: {{ add .Values.gateway.drainSeconds 5 }}
  reaches: [{{ $database }}, nats, api]
delivery:
  image: delivery
  command: [env, --block-signal=TERM, python, -m, taskbell.delivery, --host, {{ $any | quote }}, --port, "8003"]
  port: 8003
  role: delivery
  public: false
  preStop: 0
  stop: {{ add .Values.delivery.drainSeconds 10 }}
  reaches: [{{ $database }}, nats, receivers, smtp]
{{- if .Values.operator.enabled }}
operator:
  image: operator
  command: [env, --block-signal=TERM, python, -m, taskbell.operator, --host, {{ $any | quote }}, --port, "8080"]
  port: 8080
  role: ""
  public: false
  token: true
  preStop: 0
  stop: 15
  reaches: [nats, gateway, apiServer]
{{- end }}
{{- end -}}

{{/* Seconds that a pod of a component has to end. */}}
{{- define "taskbell.gracePeriod" -}}{{ add .preStop .stop }}{{- end -}}

{{/* The least number of pods of a component; disruption budgets and checks use it. */}}
{{- define "taskbell.leastPods" -}}
{{- $values := .values -}}
{{- if dig "autoscaling" "enabled" false $values -}}{{ $values.autoscaling.minReplicas }}
{{- else if dig "pool" "enabled" false $values -}}{{ $values.pool.min }}
{{- else -}}{{ $values.replicas }}{{- end -}}
{{- end -}}
