package interop;

/** One row: one SendSuccess that was handled. The same one handled twice is two rows, as in the existing services. */
public class Validator {
    public Long id;
    public String messageId;
    public String userContact;
    public String mno;
    public String sendTime;
    public String chatbotId;
    public String description;
    /** The message's own id, by which a Canceled without messageId is found. */
    public Long message;
    public String policyInfo;
    public boolean canceled;

    Validator(Long id, SendSuccess event) {
        this.id = id;
        messageId = event.messageId;
        userContact = event.userContact;
        mno = event.mno;
        sendTime = event.sendTime;
        chatbotId = event.chatbotId;
        description = event.description;
        message = event.id;
        policyInfo = finding();
    }

    /** What is wrong, or null: the existing services leave policyInfo null, too, when all is well. */
    private String finding() {
        if (description == null || description.trim().isEmpty()) {
            return "description is empty";
        }
        if (chatbotId == null || !chatbotId.matches("(?!010)\\d{8,11}")) {
            return "chatbotId is no sender number";
        }
        return null;
    }
}
