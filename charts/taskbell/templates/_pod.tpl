{{/* The common parts of all pods. */}}

{{- define "taskbell.pod.securityContext" -}}
runAsNonRoot: true
runAsUser: {{ .uid }}
runAsGroup: {{ .uid }}
fsGroup: {{ .uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "taskbell.container.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The image and the restrictions of our containers. */}}
{{- define "taskbell.container" -}}
image: {{ include "taskbell.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "taskbell.container.securityContext" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* The fields of a pod's spec except containers and volumes. values: where it may run. uid: if not the image's own. */}}
{{- define "taskbell.pod" -}}
serviceAccountName: {{ include "taskbell.fullname" .root }}-{{ .component }}
automountServiceAccountToken: {{ dig "token" false (.spec | default dict) }}
enableServiceLinks: false
securityContext:
  {{- include "taskbell.pod.securityContext" (dict "uid" (.uid | default 10001)) | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "taskbell.volumes" -}}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "taskbell.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "taskbell.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{/* Waits until the database has the schema of this release, with the rights of the program's role. */}}
{{- define "taskbell.waitForSchema" -}}
- name: wait-for-schema
  command: [env, --block-signal=TERM, python, -m, taskbell.store, wait, --patience, {{ .root.Values.migrations.patienceSeconds | quote }}]
  env:
    - name: TASKBELL_DATABASE_URL
      valueFrom:
        secretKeyRef: {{ include "taskbell.database.ref" (dict "root" .root "role" .role) }}
  resources:
    requests: {cpu: 50m, memory: 96Mi}
    limits: {memory: 256Mi}
  {{- include "taskbell.container" (dict "root" .root "image" "api") | nindent 2 }}
{{- end -}}

{{/*
The proxies that the API believes. The chart cannot know where the pods of the Ingress controller or the Gateway are, only
that their addresses are private: those of the cluster, of the nodes, of a sidecar. Without a route nobody is in front.
*/}}
{{- define "taskbell.trustedProxies" -}}
{{- if .Values.public.trustedProxies -}}
{{ join "," .Values.public.trustedProxies }}
{{- else if or .Values.ingress.enabled .Values.httpRoute.enabled -}}
127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7
{{- end -}}
{{- end -}}

{{/* The environment of a program: addresses first, then its settings from the values. */}}
{{- define "taskbell.environment" -}}
{{- $root := .root -}}
{{- if .spec.role }}
- name: TASKBELL_DATABASE_URL
  valueFrom:
    secretKeyRef: {{ include "taskbell.database.ref" (dict "root" $root "role" .spec.role) }}
{{- end }}
{{- if has "pgbouncer" .spec.reaches }}
- name: TASKBELL_DATABASE_POOLER
  value: {{ include "taskbell.pgbouncer.address" $root }}
{{- end }}
{{- if has "nats" .spec.reaches }}
- name: TASKBELL_NATS_URL
  valueFrom:
    secretKeyRef: {{ include "taskbell.nats.ref" (dict "root" $root "program" .component) }}
{{- end }}
{{- if eq .component "api" }}
{{- with include "taskbell.database.replicas.ref" $root }}
- name: TASKBELL_DATABASE_REPLICA_URLS
  valueFrom:
    secretKeyRef: {{ . }}
{{- end }}
- name: TASKBELL_SIGNING_KEYS
  valueFrom:
    secretKeyRef: {{ include "taskbell.signingKeys.ref" $root }}
{{- with $root.Values.api.oidc.existingSecret }}
{{- if .name }}
- name: TASKBELL_OIDC_PROVIDERS
  valueFrom:
    secretKeyRef: {{ toJson . }}
{{- end }}
{{- end }}
- name: TASKBELL_GATEWAY_URL
  value: {{ include "taskbell.gatewayUrl" $root }}
{{- with include "taskbell.trustedProxies" $root }}
- name: TASKBELL_TRUSTED_PROXIES
  value: {{ . | quote }}
{{- end }}
{{- if and (include "taskbell.smtp.ref" $root) (not (hasKey .values.settings "TASKBELL_INVITATIONS_NEED_CONFIRMED_EMAIL")) }}
- name: TASKBELL_INVITATIONS_NEED_CONFIRMED_EMAIL
  value: "true"
{{- end }}
{{- else if eq .component "gateway" }}
- name: TASKBELL_JWKS_URL
  value: http://{{ include "taskbell.fullname" $root }}-api:8000/.well-known/jwks.json
- name: TASKBELL_GATEWAY_DRAIN_TIMEOUT
  value: PT{{ $root.Values.gateway.drainSeconds }}S
{{- else if eq .component "operator" }}
- name: TASKBELL_OPERATOR_NAMESPACE
  value: {{ $root.Release.Namespace }}
- name: TASKBELL_OPERATOR_WATCH_NAMESPACES
  value: {{ $root.Release.Namespace }}
- name: TASKBELL_OPERATOR_IMAGE
  value: {{ include "taskbell.image" (dict "root" $root "image" "sweeper") | quote }}
- name: TASKBELL_OPERATOR_IMAGE_PULL_POLICY
  value: {{ $root.Values.image.pullPolicy }}
{{- with $root.Values.image.pullSecrets }}
{{- $names := list }}
{{- range . }}{{ $names = append $names .name }}{{ end }}
- name: TASKBELL_OPERATOR_IMAGE_PULL_SECRETS
  value: {{ join "," $names | quote }}
{{- end }}
- name: TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT
  value: {{ include "taskbell.fullname" $root }}-sweeper
{{- else if eq .component "delivery" }}
- name: TASKBELL_DELIVERY_DRAIN_TIMEOUT
  value: PT{{ $root.Values.delivery.drainSeconds }}S
{{- with include "taskbell.smtp.ref" $root }}
- name: TASKBELL_SMTP_URL
  valueFrom:
    secretKeyRef: {{ . }}
{{- end }}
{{- range $provider, $name := dict "fcm" "TASKBELL_FCM_CREDENTIALS" "apns" "TASKBELL_APNS_KEY" "vapid" "TASKBELL_VAPID_PRIVATE_KEY" }}
{{- $existing := (get $root.Values.delivery.push $provider).existingSecret }}
{{- if $existing.name }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ toJson $existing }}
{{- end }}
{{- end }}
{{- if and $root.Values.public.host (not (hasKey .values.settings "TASKBELL_API_PUBLIC_URL")) }}
- name: TASKBELL_API_PUBLIC_URL
  value: {{ ternary "https" "http" $root.Values.public.tls }}://{{ $root.Values.public.host }}
{{- end }}
{{- end }}
{{- range $name, $value := .values.settings }}
- name: {{ $name }}
  value: {{ include "taskbell.setting" $value }}
{{- end }}
{{- with .values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "taskbell.gatewayUrl" -}}
{{- if .Values.public.host -}}{{ ternary "wss" "ws" .Values.public.tls }}://{{ .Values.public.host }}/ws
{{- else -}}ws://127.0.0.1:8001/ws
{{- end -}}
{{- end -}}

{{/* A setting's value as a variable holds it; large numbers without an exponent. */}}
{{- define "taskbell.setting" -}}
{{ if kindIs "float64" . }}{{ toJson . | quote }}{{ else }}{{ quote . }}{{ end }}
{{- end -}}
